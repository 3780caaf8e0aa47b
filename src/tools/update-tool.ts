import type { Caller } from '../caller.ts';
import type { Transaction } from '../db/database.ts';
import { recordEvent } from '../events/outbox-store.ts';
import { type ExpectedEtag, getToolToChange } from './access.ts';
import { changeTool } from './change-tool.ts';
import type { ToolsContext } from './context.ts';
import { nameTaken } from './create-tool.ts';
import { sealDefinition } from './seal-definition.ts';
import type { Tool } from './tool.ts';
import { replaceTool, type ToolChangeRecord } from './tool-change-store.ts';
import { checkNewTool, checkToolChange, type ToolChange } from './tool-input.ts';
import { findSecrets } from './tool-store.ts';

/** How an input is meant: as a whole, or as the fields to change. */
export type UpdateMode = 'replace' | 'merge';

/**
 * Changes a tool of the caller's, or a system tool for an administrator. What the input does not say stays: in
 * `replace` the tool type alone, in `merge` every field. `tool.updated` is recorded with it, also where what is stored is
 * what was there: the tool's ETag is another.
 *
 * @throws ServiceError `not_found`, `permission_denied`, `aborted` when the tool is not the expected one,
 * `invalid_argument` with each field's fault, `already_exists` when the owner has another tool of the new name; as
 * `Database.transaction` does.
 */
export async function updateTool(
  context: ToolsContext,
  caller: Caller,
  id: string,
  input: unknown,
  { mode, expected }: { mode: UpdateMode; expected: ExpectedEtag | undefined },
): Promise<Tool> {
  const { database } = context;
  // A refusal takes no turn, and what is checked of the input depends on nothing that a change can change.
  const before = await getToolToChange(context, caller, id, expected);
  const check = mode === 'replace' ? checkNewTool : checkToolChange;
  const change = check(context, input, before.ownerId === null);
  try {
    return await changeTool(context, caller, id, expected, async (transaction, tool) => {
      const record = await applyChange(context, transaction, tool, change);
      if (!(await replaceTool(database, transaction, record))) return undefined;
      const event = { type: 'tool.updated', toolId: tool.id } as const;
      await recordEvent(database, transaction, event, record.updatedAt.getTime());
      return record;
    });
  } catch (error) {
    if (database.isUniqueViolation(error)) throw nameTaken(change.name ?? before.name);
    throw error;
  }
}

async function applyChange(
  context: ToolsContext,
  transaction: Transaction,
  tool: Tool,
  { name = tool.name, toolType = tool.toolType, checked }: ToolChange,
): Promise<ToolChangeRecord> {
  return {
    ...tool,
    name,
    toolType,
    updatedAt: new Date(Math.max(context.now(), tool.updatedAt.getTime())),
    revision: tool.revision + 1,
    ...(checked && {
      description: checked.description,
      ...sealDefinition(context, tool.id, checked.definition, {
        definition: tool.definition,
        secrets: await findSecrets(context.database, tool.id, transaction),
      }),
    }),
  };
}

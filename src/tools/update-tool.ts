import type { Caller } from '../caller.ts';
import { recordEvent } from '../events/outbox-store.ts';
import { keepUser } from '../users/deleted-users-store.ts';
import { changedMeanwhile, type ExpectedEtag, getToolToChange } from './access.ts';
import type { ToolsContext } from './context.ts';
import { nameTaken } from './create-tool.ts';
import { sealDefinition } from './seal-definition.ts';
import type { Tool } from './tool.ts';
import { replaceTool, type ToolChangeRecord } from './tool-change-store.ts';
import { checkNewTool, checkToolChange } from './tool-input.ts';
import { findSecrets } from './tool-store.ts';

/** How often a change is made again on what another change, at the same time, has left. */
const MAX_ATTEMPTS = 5;

/** How an input is meant: as a whole, or as the fields to change. */
export type UpdateMode = 'replace' | 'merge';

/**
 * Changes a tool of the caller's, or a system tool for an administrator. What the input does not say stays: in
 * `replace` the tool type alone, in `merge` every field. `tool.updated` is recorded with it, also where what is stored is
 * what was there: the tool's ETag is another.
 *
 * @throws ServiceError `not_found`, `permission_denied`, `aborted` when the tool is not the expected one,
 * `invalid_argument` with each field's fault, `already_exists` when the owner has another tool of the new name.
 */
export async function updateTool(
  context: ToolsContext,
  caller: Caller,
  id: string,
  input: unknown,
  options: { mode: UpdateMode; expected: ExpectedEtag | undefined },
): Promise<Tool> {
  const check = options.mode === 'replace' ? checkNewTool : checkToolChange;
  for (let attempt = 1; ; attempt++) {
    const tool = await getToolToChange(context, caller, id, options.expected);
    const change = check(context, input, tool.ownerId === null);
    const record = await applyChange(context, caller, tool, change);
    if (record) return record;
    if (attempt === MAX_ATTEMPTS) throw changedMeanwhile();
  }
}

/** @returns undefined when the tool was changed or deleted between reading and writing it. */
async function applyChange(
  context: ToolsContext,
  caller: Caller,
  tool: Tool,
  { name = tool.name, toolType = tool.toolType, checked }: ReturnType<typeof checkToolChange>,
): Promise<Tool | undefined> {
  const { database } = context;
  try {
    return await database.transaction(async (transaction) => {
      await keepUser(database, transaction, caller.userId);
      const record: ToolChangeRecord = {
        ...tool,
        name,
        toolType,
        updatedAt: new Date(Math.max(context.now(), tool.updatedAt.getTime())),
        revision: tool.revision + 1,
        ...(checked && {
          description: checked.description,
          ...sealDefinition(context, tool.id, checked.definition, {
            definition: tool.definition,
            secrets: await findSecrets(database, tool.id, transaction),
          }),
        }),
      };
      if (!(await replaceTool(database, transaction, record))) return undefined;
      const event = { type: 'tool.updated', toolId: tool.id } as const;
      await recordEvent(database, transaction, event, record.updatedAt.getTime());
      return record;
    });
  } catch (error) {
    if (database.isUniqueViolation(error)) throw nameTaken(name);
    throw error;
  }
}

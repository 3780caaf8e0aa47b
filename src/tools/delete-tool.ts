import type { Caller } from '../caller.ts';
import { ServiceError } from '../errors.ts';
import { recordEvent } from '../events/outbox-store.ts';
import { type ExpectedEtag, getToolToChange } from './access.ts';
import { changeTool } from './change-tool.ts';
import type { ToolsContext } from './context.ts';
import { removeTool } from './tool-change-store.ts';

/**
 * Deletes a tool of the caller's, or a system tool for an administrator, and records `tool.deleted` with it.
 *
 * @throws ServiceError `not_found`, `permission_denied`, `aborted` when the tool is not the expected one,
 * `failed_precondition` for a built-in tool, which the next start would bring back; as `Database.transaction` does.
 */
export async function deleteTool(
  context: ToolsContext,
  caller: Caller,
  id: string,
  expected: ExpectedEtag | undefined,
): Promise<void> {
  const { database } = context;
  // A refusal takes no turn.
  const { builtin } = await getToolToChange(context, caller, id, expected);
  if (builtin !== null) {
    throw new ServiceError('failed_precondition', 'A built-in system tool cannot be deleted.');
  }
  await changeTool(context, caller, id, expected, async (transaction, tool) => {
    if (!(await removeTool(database, transaction, tool))) return undefined;
    await recordEvent(database, transaction, { type: 'tool.deleted', toolId: tool.id }, context.now());
    return true;
  });
}

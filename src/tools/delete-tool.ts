import type { Caller } from '../caller.ts';
import { ServiceError } from '../errors.ts';
import { recordEvent } from '../events/outbox-store.ts';
import { keepUser } from '../users/deleted-users-store.ts';
import { changedMeanwhile, type ExpectedEtag, getToolToChange } from './access.ts';
import type { ToolsContext } from './context.ts';
import { removeTool } from './tool-change-store.ts';

const MAX_ATTEMPTS = 5;

/**
 * Deletes a tool of the caller's, or a system tool for an administrator, and records `tool.deleted` with it.
 *
 * @throws ServiceError `not_found`, `permission_denied`, `aborted` when the tool is not the expected one,
 * `failed_precondition` for a built-in tool, which the next start would bring back.
 */
export async function deleteTool(
  context: ToolsContext,
  caller: Caller,
  id: string,
  expected: ExpectedEtag | undefined,
): Promise<void> {
  const { database } = context;
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const tool = await getToolToChange(context, caller, id, expected);
    if (tool.builtin !== null) {
      throw new ServiceError('failed_precondition', 'A built-in system tool cannot be deleted.');
    }
    const removed = await database.transaction(async (transaction) => {
      await keepUser(database, transaction, caller.userId);
      if (!(await removeTool(database, transaction, tool))) return false;
      await recordEvent(database, transaction, { type: 'tool.deleted', toolId: tool.id }, context.now());
      return true;
    });
    if (removed) return;
  }
  throw changedMeanwhile();
}

import type { Caller } from '../caller.ts';
import type { Transaction } from '../db/database.ts';
import { ServiceError } from '../errors.ts';
import { keepUser } from '../users/deleted-users-store.ts';
import { checkMayChange, type ExpectedEtag, toolNotFound } from './access.ts';
import type { ToolsContext } from './context.ts';
import type { Tool } from './tool.ts';
import { findToolInTransaction } from './tool-store.ts';

/** How often a change is made again on what one that takes no turns has left: the deletion of a user, a start, an import. */
const MAX_ATTEMPTS = 5;

/**
 * Changes a tool in one transaction, on what is there then. Changes of a tool take turns, in however many processes, so
 * that none of them fails by another unless it expects a certain version.
 *
 * @param change is given the tool, which the caller may change, and gives undefined, having stored nothing, where the tool
 * is not at that revision any more.
 * @throws ServiceError `not_found`, `permission_denied`, `aborted` when the tool is not the expected one, `unavailable` when
 * it is not this change's turn in time.
 */
export async function changeTool<T>(
  { database }: Pick<ToolsContext, 'database'>,
  caller: Caller,
  id: string,
  expected: ExpectedEtag | undefined,
  change: (transaction: Transaction, tool: Tool) => Promise<T | undefined>,
): Promise<T> {
  const turn = `tool:${id}`;
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const changed = await database.transaction(
      async (transaction) => {
        await keepUser(database, transaction, caller.userId);
        // For other processes' changes; this one's wait before they take a connection.
        await database.lock(transaction, [turn], 'exclusive');
        const tool = await findToolInTransaction(database, transaction, id, caller.userId);
        if (!tool) throw toolNotFound();
        checkMayChange(caller, tool, expected);
        return change(transaction, tool);
      },
      { inTurnOf: turn },
    );
    if (changed !== undefined) return changed;
  }
  throw new ServiceError('unavailable', 'The tool is changed by many at once. Try again.');
}

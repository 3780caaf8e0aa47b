import type { Database, Transaction } from '../db/database.ts';
import { recordEvent, recordEvents } from '../events/outbox-store.ts';
import { takeTurns } from '../take-turns.ts';
import { markDeleted } from '../users/deleted-users-store.ts';
import { removeUserRows, type UserTable } from './user-rows-store.ts';

export interface DeletionContext {
  readonly database: Database;
  /** The time in milliseconds since 1970. */
  readonly now: () => number;
}

/** What a deletion has removed, in rows. */
export interface UserDeletion {
  /** Whether the user had been deleted before; nothing is done then. */
  readonly isRepeated: boolean;
  readonly tools: number;
  readonly executions: number;
  readonly idempotencyKeys: number;
}

/**
 * Rows are removed in sections: how long one should take, in milliseconds, and the fewest and most rows of one. On SQLite a
 * section holds the event loop, and rows may be large. On PostgreSQL it is one statement, which is to stay well below the
 * time that a statement may take, and each costs a round trip. `recordEvents` takes no more at once either.
 */
const SECTIONS = {
  sqlite: { ms: 4, fewest: 10, most: 500 },
  postgres: { ms: 50, fewest: 200, most: 1000 },
} as const;

/**
 * Deletes all that is a user's own (tools with their secrets, executions, idempotency keys) and remembers that the user is
 * deleted, so that nothing is written for them any more. `tool.deleted` of each tool, and `user.deleted` after them, are
 * recorded in the same transaction. A second deletion of the same user has no effect.
 *
 * One transaction does it all. On SQLite, others that write wait for it: some 20 µs a row, and then for the disk.
 *
 * @param userId a UUID in canonical spelling.
 * @throws ServiceError `unavailable` when the database cannot do it now: nothing is deleted then.
 */
export async function deleteUser({ database, now }: DeletionContext, userId: string): Promise<UserDeletion> {
  return database.transaction(async (transaction) => {
    const deletedAt = now();
    const isFirst = await markDeleted(database, transaction, userId, deletedAt);
    if (!isFirst) return { isRepeated: true, tools: 0, executions: 0, idempotencyKeys: 0 };
    const remove = (table: UserTable, seeRemoved?: (ids: readonly string[]) => Promise<void>) =>
      removeAll(database, transaction, { table, userId, seeRemoved });
    const removed = {
      isRepeated: false,
      tools: await remove('tools', (ids) => {
        const events = ids.map((toolId) => ({ type: 'tool.deleted', toolId }) as const);
        return recordEvents(database, transaction, events, deletedAt);
      }),
      executions: await remove('executions'),
      idempotencyKeys: await remove('idempotencyKeys'),
    };
    await recordEvent(database, transaction, { type: 'user.deleted', userId }, deletedAt);
    return removed;
  });
}

/** Removes the user's rows of a table, in sections that give the event loop back in between. @returns how many. */
async function removeAll(
  database: Database,
  transaction: Transaction,
  {
    table,
    userId,
    seeRemoved,
  }: {
    readonly table: UserTable;
    readonly userId: string;
    readonly seeRemoved: ((ids: readonly string[]) => Promise<void>) | undefined;
  },
): Promise<number> {
  // The one wait in a transaction that is not for the database: without it, everybody's reads would stand still.
  const nextTurn = takeTurns();
  const bounds = SECTIONS[database.dialect];
  let rows: number = bounds.fewest;
  let count = 0;
  let start = performance.now();
  for await (const ids of removeUserRows(database, transaction, table, userId, () => rows)) {
    count += ids.length;
    await seeRemoved?.(ids);
    rows = nextSize(rows, performance.now() - start, bounds);
    await nextTurn();
    start = performance.now();
  }
  return count;
}

function nextSize(
  rows: number,
  tookMs: number,
  { ms, fewest, most }: (typeof SECTIONS)[Database['dialect']],
): number {
  if (tookMs > ms) return Math.max(Math.floor(rows / 2), fewest);
  return tookMs < ms / 2 ? Math.min(2 * rows, most) : rows;
}

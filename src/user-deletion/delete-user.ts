import { setImmediate as nextImmediate } from 'node:timers/promises';
import type { Database, Transaction } from '../db/database.ts';
import { recordEvent, recordEvents } from '../events/outbox-store.ts';
import { createMutex, type Mutex } from '../mutex.ts';
import { takeTurns } from '../take-turns.ts';
import { isDeletedUser, markDeleted } from '../users/deleted-users-store.ts';
import { isFull, type Position, removeSection, type UserTable } from './user-rows-store.ts';

export interface DeletionContext {
  readonly database: Database;
  /** The time in milliseconds since 1970. */
  readonly now: () => number;
}

/** What a deletion has removed, in rows; what an attempt before it removed, that failed in the end, is not counted. */
export interface UserDeletion {
  /** Whether the user had been deleted before; nothing is done then. */
  readonly isRepeated: boolean;
  readonly tools: number;
  readonly executions: number;
  readonly idempotencyKeys: number;
}

const REPEATED: UserDeletion = { isRepeated: true, tools: 0, executions: 0, idempotencyKeys: 0 };

/**
 * Rows are removed in sections: how long one should take, in milliseconds, and the fewest and most rows of one. On SQLite a
 * section holds the event loop, and rows may be large. On PostgreSQL it is one statement, which is to stay well below the
 * time that a statement may take, and each costs a round trip. `recordEvents` takes no more at once either.
 */
const SECTIONS = {
  sqlite: { ms: 4, fewest: 10, most: 500 },
  postgres: { ms: 50, fewest: 200, most: 1000 },
} as const;

/** Of these a user may have very many, and nobody is told of them. */
const AHEAD = ['executions', 'idempotencyKeys'] as const;

/** So many rows of a table are left to the last transaction, which is the only one of a user who has no more. */
const LEFT_ROWS = 500;

/** How often rows are removed ahead from the first on, as more may have come meanwhile. */
const MOST_ROUNDS = 3;

/** Deletions of each database wait here: together, large ones would take it from everybody else. */
const turns = new WeakMap<Database, Mutex>();

/**
 * Deletes all that is a user's own (tools with their secrets, executions, idempotency keys) and remembers that the user is
 * deleted, so that nothing is written for them any more. `tool.deleted` of each tool, and `user.deleted` after them, are
 * recorded in the same transaction. A second deletion of the same user has no effect.
 *
 * One transaction does it all, but for executions and idempotency keys beyond the last few hundred: short ones remove those
 * ahead of it, so that others which write need not wait for all of it. A deletion that fails in between goes on from
 * there when it is tried again. In a process one runs at a time; others wait for their turn, without a connection.
 *
 * @param userId a UUID in canonical spelling.
 * @throws ServiceError `unavailable` when the database cannot do it now: the user is not deleted then, and
 * has all tools and the last few hundred of the other rows at the least.
 */
export function deleteUser(context: DeletionContext, userId: string): Promise<UserDeletion> {
  const { database } = context;
  const mutex = turns.get(database) ?? createMutex();
  turns.set(database, mutex);
  return mutex.run(async () => {
    if (await isDeletedUser(database, userId)) return REPEATED;
    const ahead: Partial<Record<UserTable, number>> = {};
    for (const table of AHEAD) ahead[table] = await removeAhead(database, table, userId);
    const removed = await deleteRest(context, userId);
    if (removed.isRepeated) return removed;
    const { executions = 0, idempotencyKeys = 0 } = ahead;
    return {
      ...removed,
      executions: removed.executions + executions,
      idempotencyKeys: removed.idempotencyKeys + idempotencyKeys,
    };
  });
}

/**
 * Removes most of the user's rows of a table, each section in a transaction of its own. None waits for the disk: what comes
 * back when the power goes off, the next attempt removes. @returns how many.
 */
async function removeAhead(database: Database, table: UserTable, userId: string): Promise<number> {
  const size = createSectionSize(database);
  let count = 0;
  let isMore = true;
  for (let round = 0; isMore && round < MOST_ROUNDS; round++) {
    isMore = false;
    let after: Position | undefined;
    while (await isFull(database, { table, userId, after, rows: size.rows + LEFT_ROWS })) {
      const from = after;
      const { ids, end } = await database.transaction(
        (transaction) =>
          size.fit(() =>
            removeSection(database, transaction, { table, userId, after: from, rows: size.rows }),
          ),
        { survivesPowerLoss: false },
      );
      isMore = true;
      count += ids.length;
      after = end;
      // On SQLite nothing else would give the event loop back.
      await nextImmediate();
    }
  }
  return count;
}

/** Removes what is left of everything, and announces it. */
function deleteRest({ database, now }: DeletionContext, userId: string): Promise<UserDeletion> {
  return database.transaction(async (transaction) => {
    const deletedAt = now();
    const isFirst = await markDeleted(database, transaction, userId, deletedAt);
    if (!isFirst) return REPEATED;
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
  const size = createSectionSize(database);
  let count = 0;
  let after: Position | undefined;
  do {
    const from = after;
    const { ids, end } = await size.fit(async () => {
      const removed = await removeSection(database, transaction, {
        table,
        userId,
        after: from,
        rows: size.rows,
      });
      await seeRemoved?.(removed.ids);
      return removed;
    });
    count += ids.length;
    after = end;
    await nextTurn();
  } while (after !== undefined);
  return count;
}

/** How many rows the next section has. */
interface SectionSize {
  readonly rows: number;
  /** Removes a section; the next one's size follows from how long that takes. */
  fit<T>(remove: () => Promise<T>): Promise<T>;
}

function createSectionSize({ dialect }: Database): SectionSize {
  const { ms, fewest, most } = SECTIONS[dialect];
  let rows: number = fewest;
  return {
    get rows() {
      return rows;
    },
    async fit(remove) {
      const start = performance.now();
      const removed = await remove();
      const tookMs = performance.now() - start;
      if (tookMs > ms) rows = Math.max(Math.floor(rows / 2), fewest);
      else if (tookMs < ms / 2) rows = Math.min(2 * rows, most);
      return removed;
    },
  };
}

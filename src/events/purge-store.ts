import { and, asc, eq, inArray, isNull, lt, sql } from 'drizzle-orm';
import { type Database, preparedOnce, type Transaction } from '../db/database.ts';
import { pendingOfType } from './outbox-store.ts';

const { placeholder } = sql;

/** An event that waits, beside the tool it is about as that is now: null when there is none any more. */
export interface WaitingEvent {
  readonly sequence: number;
  readonly id: string;
  readonly createdAt: number;
  readonly toolUpdatedAt: number | null;
}

const reads = preparedOnce((database, handle) => {
  const { outbox, tools } = database.tables;
  return {
    waiting: database.prepare(
      handle,
      'waiting_events_with_tools',
      handle
        .select({
          sequence: outbox.sequence,
          id: outbox.id,
          createdAt: outbox.createdAt,
          toolUpdatedAt: tools.updatedAt,
        })
        .from(outbox)
        .leftJoin(tools, eq(tools.id, outbox.subject))
        .where(pendingOfType(database))
        .orderBy(asc(outbox.type), asc(outbox.sequence))
        .limit(placeholder('limit')),
    ),
  };
});

/** A page of the events of a type that wait, after a sequence, in order. */
export async function pageOfWaiting(
  database: Database,
  page: { readonly type: string; readonly after: number; readonly limit: number },
): Promise<readonly WaitingEvent[]> {
  return reads(database).waiting({ ...page });
}

/** Removes events that wait; leaves those that were sent meanwhile. */
export async function removeWaiting(
  database: Database,
  transaction: Transaction,
  ids: readonly string[],
): Promise<void> {
  const { outbox } = database.tables;
  await transaction.delete(outbox).where(and(isNull(outbox.publishedAt), inArray(outbox.id, [...ids])));
}

/** Removes the first of the events that were sent before a time, at most `limit` of them. @returns whether there may be more. */
export async function removeSent(
  database: Database,
  transaction: Transaction,
  before: number,
  limit: number,
): Promise<boolean> {
  const { outbox } = database.tables;
  const first = transaction
    .select({ sequence: outbox.sequence })
    .from(outbox)
    .where(lt(outbox.publishedAt, before))
    .orderBy(asc(outbox.publishedAt))
    .limit(limit);
  const removed = await transaction
    .delete(outbox)
    .where(inArray(outbox.sequence, first))
    .returning({ sequence: outbox.sequence });
  return removed.length === limit;
}

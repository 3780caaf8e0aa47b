import { randomUUID } from 'node:crypto';
import { and, asc, gt, isNull, type SQL, sql } from 'drizzle-orm';
import { type Database, preparedOnce, type Transaction } from '../db/database.ts';
import type { EventType, ServiceEvent } from './event.ts';

const { placeholder } = sql;

type OutboxRow = Database['tables']['outbox']['$inferSelect'];

/** An event that no broker has confirmed yet. Its type may be one that only a newer version knows. */
export type PendingEvent = Omit<OutboxRow, 'publishedAt'>;

/** Transactions in which an event was recorded; `watchEvents` asks when they commit. */
const recording = new WeakSet<Transaction>();

/** At most so many types of events can be asked for at once. */
const TYPES_AT_ONCE = 4;

/** The columns of `firstOfEach`. */
const pendingColumns = {
  sequence: sql<number>`sequence`,
  id: sql<string>`id`,
  type: sql<string>`type`,
  subject: sql<string>`subject`,
  payload: sql<string>`payload`,
  createdAt: sql<number>`created_at`,
};

const reads = preparedOnce((database, handle) => {
  const { outbox } = database.tables;
  const { sequence, type, createdAt } = outbox;
  const isPending = isNull(outbox.publishedAt);
  const ofType = pendingOfType(database);
  const order = [asc(type), asc(sequence)];
  return {
    first: database.prepare(
      handle,
      'pending_events',
      handle
        .select(pendingColumns)
        .from(sql`(${firstOfEach(database)}) as pending`)
        .orderBy(asc(pendingColumns.sequence))
        .limit(placeholder('limit')),
    ),
    oldest: database.prepare(
      handle,
      'oldest_pending_event',
      handle
        .select({ createdAt })
        .from(outbox)
        .where(ofType)
        .orderBy(...order)
        .limit(1),
    ),
    nextType: database.prepare(
      handle,
      'pending_event_type',
      handle
        .select({ type })
        .from(outbox)
        .where(and(isPending, gt(type, placeholder('after'))))
        .orderBy(asc(type))
        .limit(1),
    ),
    edge: database.prepare(
      handle,
      'edge_of_pending_events',
      handle
        .select({ sequence })
        .from(outbox)
        .where(ofType)
        .orderBy(...order)
        .limit(1)
        .offset(placeholder('skip')),
    ),
    rest: database.prepare(
      handle,
      'count_of_pending_events',
      handle.select({ rows: sql<number>`count(*)` }).from(outbox).where(ofType),
    ),
  };
});

const writes = preparedOnce((database, handle) => {
  const { outbox } = database.tables;
  return {
    mark: handle
      .update(outbox)
      .set({ publishedAt: sql`${placeholder('publishedAt')}` })
      .where(database.anyOf(outbox.id, 'ids'))
      .prepare('mark_events_sent'),
  };
});

/**
 * Records an event in the transaction of the change it announces, so that neither is there without the other. It is
 * published later, in the order of the events of its tool or user.
 */
export async function recordEvent(
  database: Database,
  transaction: Transaction,
  event: ServiceEvent,
  now: number,
): Promise<void> {
  await recordEvents(database, transaction, [event], now);
}

/** As `recordEvent`, for several events in their order: at most some 2,000, as each is six parameters of a statement. */
export async function recordEvents(
  database: Database,
  transaction: Transaction,
  events: readonly ServiceEvent[],
  now: number,
): Promise<void> {
  if (events.length === 0) return;
  recording.add(transaction);
  await transaction.insert(database.tables.outbox).values(
    events.map((event) => ({
      id: randomUUID(),
      type: event.type,
      subject: event.type === 'user.deleted' ? event.userId : event.toolId,
      payload: JSON.stringify(bodyOf(event)),
      createdAt: now,
    })),
  );
}

/** Whether an event was recorded in a transaction since it was asked last: handles serve many transactions in turn. */
export function takeRecorded(transaction: Transaction): boolean {
  return recording.delete(transaction);
}

/**
 * The first of the events of these types that wait, at most four types, in the order of their sequence.
 *
 * Always ask for what waits, never for what comes after the last one seen: PostgreSQL gives a sequence out before the
 * commit, so that a lower one may turn up after a higher one was sent. Of one tool or user none does: its changes wait
 * for each other's commits, by the lock on the tool's row or the user's name, before they record their events.
 */
export async function firstPending(
  database: Database,
  types: readonly EventType[],
  limit: number,
): Promise<readonly PendingEvent[]> {
  if (types.length === 0) return [];
  // No event is of the type ''.
  const asked = Array.from({ length: TYPES_AT_ONCE }, (_, index) => [`type${index}`, types[index] ?? '']);
  return reads(database).first({ ...Object.fromEntries(asked), after: 0, limit });
}

/** When the first event of a type that waits happened; undefined when none waits. */
export async function oldestPending(database: Database, type: string): Promise<number | undefined> {
  const [row] = await reads(database).oldest({ type, after: 0 });
  return row?.createdAt;
}

/** The first type, after `after` in byte order, of which an event waits. */
export async function nextPendingType(database: Database, after: string): Promise<string | undefined> {
  const [row] = await reads(database).nextType({ after });
  return row?.type;
}

/** Counts the events of a type that wait, a section at a time, each of at most `rows`: the sum is the count. */
export async function* countPending(database: Database, type: string, rows: number): AsyncGenerator<number> {
  const { edge, rest } = reads(database);
  for (let after = 0; ; ) {
    const [last] = await edge({ type, after, skip: rows - 1 });
    if (!last) {
      const [end] = await rest({ type, after });
      yield end?.rows ?? 0;
      return;
    }
    yield rows;
    after = last.sequence;
  }
}

/** Marks events as sent. Those that are already are marked anew. */
export async function markSent(
  database: Database,
  transaction: Transaction,
  events: readonly Pick<PendingEvent, 'id'>[],
  publishedAt: number,
): Promise<void> {
  if (events.length === 0) return;
  const ids = JSON.stringify(events.map(({ id }) => id));
  await writes(database, transaction).mark.execute({ ids, publishedAt });
}

/**
 * The condition that an event waits, is of a type, and comes after a sequence. Whoever asks orders by type and sequence,
 * which are the index. PostgreSQL is told of the pair: by the two apart, it would rather go through the events of all types
 * by the primary key. SQLite has no way to a row's own number through a pair.
 */
export function pendingOfType(database: Database, typeName = 'type'): SQL | undefined {
  const { sequence, type, publishedAt } = database.tables.outbox;
  const [asked, after] = [placeholder(typeName), placeholder('after')];
  if (database.dialect === 'sqlite') {
    return and(isNull(publishedAt), sql`${type} = ${asked}`, sql`${sequence} > ${after}`);
  }
  const last = sql.raw(String(Number.MAX_SAFE_INTEGER));
  return and(
    isNull(publishedAt),
    sql`(${type}, ${sequence}) > (${asked}, ${after})`,
    sql`(${type}, ${sequence}) < (${asked}, ${last})`,
  );
}

/**
 * The first events of each type, found by the index for each by itself: how many wait of types that were not asked for
 * makes no difference.
 */
function firstOfEach(database: Database): SQL {
  const parts = Array.from(
    { length: TYPES_AT_ONCE },
    (_, index) => sql`
      select * from (
        select sequence, id, type, subject, payload, created_at from ${database.tables.outbox}
        where ${pendingOfType(database, `type${index}`)}
        order by type, sequence limit ${placeholder('limit')}
      ) as ${sql.identifier(`part${index}`)}`,
  );
  return sql.join(parts, sql` union all `);
}

/** The body of an event's message: the platform relies on its fields. */
function bodyOf(event: ServiceEvent): Record<string, string> {
  return event.type === 'user.deleted'
    ? { user_id: event.userId, service_name: 'ToolService' }
    : { tool_id: event.toolId };
}

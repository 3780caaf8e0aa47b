import { createOutboxStats, type OutboxStats } from './outbox-stats.ts';
import type { Publisher } from './publisher.ts';
import { startOutboxPurge } from './purge-outbox.ts';
import { type Relay, type RelayContext, type RelayTiming, startRelay } from './relay.ts';
import type { WatchedDatabase } from './watch-events.ts';

/** The events on their way from the database to the broker. */
export interface Outbox {
  /** Counts what waits. Cheap, however much it is. Rejects while the database does not answer. */
  stats(): Promise<OutboxStats>;
  /** Waits for the batch under way, for a bounded time; what is not sent by then waits for the next start. Idempotent. */
  close(): Promise<void>;
}

export interface OutboxContext extends Omit<RelayContext, 'publisher' | 'database'> {
  readonly database: WatchedDatabase;
  /** Undefined without a broker: events wait then. */
  readonly publisher: Publisher | undefined;
}

/**
 * Publishes what is recorded, and removes it once it is old. An event is on its way as soon as its change is committed, if
 * that was in this process; within about a second otherwise. Close it before the database and the publisher.
 */
export function createOutbox(context: OutboxContext, timing: Partial<RelayTiming> = {}): Outbox {
  const { database, publisher, now, logger } = context;
  const relay: Relay | undefined = publisher && startRelay({ ...context, publisher }, timing);
  const endWatch = relay && database.onEvents(relay.wake);
  const endPurge = startOutboxPurge({
    database,
    now,
    unroutableFor: (ms) => relay?.unroutableFor(ms) ?? [],
    logFault: (error) => logger.error({ err: error }, 'old events cannot be removed now'),
  });
  let closed: Promise<void> | undefined;

  async function close(): Promise<void> {
    endWatch?.();
    await Promise.all([relay?.close(), endPurge()]);
  }

  return {
    stats: createOutboxStats(database, { now, isParked: (type) => relay?.isParked(type) ?? false }),
    close() {
      closed ??= close();
      return closed;
    },
  };
}

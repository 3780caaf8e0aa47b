import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, Transaction } from '../db/database.ts';
import type { Logger } from '../logging.ts';
import { cutBatch, judgeBatch } from './batch.ts';
import { createLease } from './lease.ts';
import { EVENT_TYPES, toMessage } from './message.ts';
import { createNaps } from './naps.ts';
import { firstPending, markSent, type PendingEvent } from './outbox-store.ts';
import { findOvertaken } from './overtaken.ts';
import { createParking } from './parking.ts';
import type { Publisher } from './publisher.ts';
import { createUnknownTypes } from './unknown-types.ts';

/** Durations in milliseconds. */
const TIMING = {
  /** Events that another process has recorded are found by looking. */
  pollMs: 1000,
  leaseMs: 5000,
  /** For how long a holder that has sent all keeps the lease: under a steady load it need not take it each time. */
  lingerMs: 20,
  /** Until the next attempt at the lease that another has, at least; at most twice that. */
  contendMs: 50,
  /** The pause after a failure, which doubles with each one that follows. */
  firstPauseMs: 100,
  longestPauseMs: 5000,
  firstParkMs: 1000,
  longestParkMs: 30_000,
  closeMs: 5000,
  /** Events of a batch: marking them holds the event loop on SQLite, some 10 µs each. */
  batchRows: 200,
  /** Of these, events that may well come back because no queue is bound for them. */
  doubtfulRows: 20,
};
export type RelayTiming = Readonly<typeof TIMING>;

export interface RelayContext {
  readonly database: Database;
  readonly publisher: Publisher;
  /** The time in milliseconds since 1970. */
  readonly now: () => number;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>;
  /** Hears of each event that a broker has confirmed: the seconds since it happened. */
  readonly onPublished: (seconds: number) => void;
}

/** Publishes the events that wait in the outbox. */
export interface Relay {
  /** Looks for events at once. Never throws and never waits. */
  wake(): void;
  /** Types for which no queue has been bound for at least so long, in milliseconds, as far as this process knows. */
  unroutableFor(ms: number): string[];
  /** Whether events of a type wait for a queue, or for a version that knows it. */
  isParked(type: string): boolean;
  /** Waits for the batch under way, for a bounded time, and leaves the rest to others. Idempotent. */
  close(): Promise<void>;
}

/** What a look at the outbox came to, which says when the next is due. */
type Look = 'idle' | 'away' | 'contended' | 'failed';

/** A mark that is lost is made again. */
const LIGHT = { survivesPowerLoss: false };

/** After so many failures one after another, with a broker that is there, the log says so. */
const SILENT_FAILURES = 3;

/**
 * Starts to publish. One process at a time does, by a lease that it takes when events wait and gives back when none are
 * left; a holder that dies, or whose lease runs out before a broker answers, has its batch sent again by the next. So each
 * event is sent once as a rule and at least once in any case.
 *
 * Events go out in the order of their sequence, but those of a type for which no queue is bound stay behind: nobody misses
 * them, and others must not wait for them. Every now and then a few are tried again, save those whose tool's deletion was
 * sent meanwhile: they are done with. Close it before the database and the publisher.
 */
export function startRelay(
  { database, publisher, now, logger, onPublished }: RelayContext,
  timing: Partial<RelayTiming> = {},
): Relay {
  const {
    pollMs,
    leaseMs,
    lingerMs,
    contendMs,
    firstPauseMs,
    longestPauseMs,
    closeMs,
    batchRows,
    doubtfulRows,
    ...rest
  } = { ...TIMING, ...timing };
  const lease = createLease({ database, name: 'outbox', now }, leaseMs);
  const parking = createParking(rest, (type, isRoutable) =>
    logger.info(
      { event: type },
      isRoutable ? 'a queue is bound for these events now' : 'no queue is bound for these events: they wait',
    ),
  );
  const naps = createNaps();
  const closing = new AbortController();
  const unknownTypes = createUnknownTypes(database, (type) =>
    logger.warn({ event: type }, 'this version does not know these events: they wait'),
  );
  let failures = 0;

  function read(limit: number): Promise<readonly PendingEvent[]> {
    parking.release();
    const open = EVENT_TYPES.filter((type) => !parking.isParked(type));
    return firstPending(database, open, limit);
  }

  async function look(): Promise<Look> {
    naps.forget();
    if (!publisher.isConnected) return 'away';
    if ((await read(1)).length === 0) return 'idle';
    if (!(await lease.take())) return 'contended';
    for (;;) {
      naps.forget();
      const events = await read(batchRows);
      if (events.length === 0 || closing.signal.aborted) {
        await lease.giveBack();
        return 'idle';
      }
      const overtaken = await findOvertaken(database, events);
      // Reading may have taken its time.
      if (!lease.isHeld) return 'contended';
      if (overtaken.size > 0) await drop([...overtaken]);
      const due = events.filter((event) => !overtaken.has(event));
      const batch = cutBatch(due, { isDoubtful: parking.isDoubtful, doubtfulRows });
      if (batch.length > 0) await send(batch);
      const isAll = batch.length === due.length && events.length < batchRows;
      if (isAll) await naps.nap(lingerMs, 'light');
      if (!lease.isHeld) return 'contended';
      if (isAll && !naps.isWoken) {
        await lease.giveBack();
        return 'idle';
      }
    }
  }

  async function drop(events: readonly PendingEvent[]): Promise<void> {
    await database.transaction((transaction) => markSent(database, transaction, events, now()), LIGHT);
  }

  /** @throws Error when the broker did not confirm all that it might; the lease is given back then. */
  async function send(batch: readonly PendingEvent[]): Promise<void> {
    const verdict = judgeBatch(batch, await publisher.publish(batch.map(toMessage)));
    parking.learn(verdict);
    const { sent } = verdict;
    // Right also for a holder whose lease has run out. A mark that is lost is a second sending.
    const mark = (transaction: Transaction) => markSent(database, transaction, sent, now());
    // Whoever cannot reach the broker does not keep those from it who can.
    if (verdict.isUncertain) await lease.giveBack(mark);
    else if (sent.length > 0) await database.transaction(mark, LIGHT);
    for (const { createdAt } of sent) onPublished(Math.max(0, now() - createdAt) / 1000);
    // With progress, the next attempt need not wait long.
    if (sent.length > 0) failures = 0;
    if (verdict.isUncertain) throw new Error('the broker does not confirm events: they are sent again');
  }

  async function lookSafely(): Promise<Look> {
    try {
      const outcome = await look();
      failures = 0;
      return outcome;
    } catch (error) {
      failures++;
      // Of a broker that is away, its connection tells.
      if (failures === SILENT_FAILURES && publisher.isConnected && !closing.signal.aborted) {
        logger.error({ err: error }, 'events cannot be published now: trying again');
      }
      return 'failed';
    } finally {
      // Where it could not be given back: it must not be prolonged by whoever does nothing with it.
      lease.letGo();
    }
  }

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      const outcome = await lookSafely();
      if (outcome === 'idle') await unknownTypes.look();
      if (closing.signal.aborted) break;
      switch (outcome) {
        case 'idle':
          await naps.nap(pollMs, 'light');
          break;
        case 'away':
          await naps.nap(pollMs, 'deep');
          break;
        case 'contended':
          await naps.nap(contendMs * (1 + Math.random()), 'deep');
          break;
        case 'failed':
          await naps.nap(Math.min(firstPauseMs * 2 ** (failures - 1), longestPauseMs), 'deep');
      }
    }
  }

  publisher.onConnected(() => {
    failures = 0;
    naps.rouse();
  });
  const running = run();
  let closed: Promise<void> | undefined;

  async function close(): Promise<void> {
    closing.abort();
    naps.rouse();
    const timeUp = new AbortController();
    await Promise.race([running, sleep(closeMs, undefined, { signal: timeUp.signal }).catch(() => {})]);
    timeUp.abort();
  }

  return {
    wake: naps.wake,
    unroutableFor: parking.unroutableFor,
    isParked: (type) => parking.isParked(type) || unknownTypes.has(type),
    close() {
      closed ??= close();
      return closed;
    },
  };
}

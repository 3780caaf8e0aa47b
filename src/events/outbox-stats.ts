import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../db/database.ts';
import { countPending, nextPendingType, oldestPending } from './outbox-store.ts';

/** What waits to be published. */
export interface OutboxStats {
  readonly backlog: number;
  /** For how long the oldest event of them has waited; 0 when none does. */
  readonly oldestSeconds: number;
  /** How many of them wait for a queue, or for a version that knows them: the others are on their way. */
  readonly unroutable: number;
}

/** Rows that are counted at once: some 0.3 ms. */
const SECTION_ROWS = 5000;

/** Types that are counted. */
const MAX_TYPES = 24;

/** So many rows are counted anew each time it is asked for: a few milliseconds. */
const QUICK_ROWS = 20_000;

/** A count of more is made again after this many times its duration, and is not waited for longer than so many milliseconds. */
const REST_FACTOR = 20;
const PATIENCE_MS = 200;

interface Counts {
  readonly counts: ReadonlyMap<string, number>;
  readonly rows: number;
  readonly tookMs: number;
  /** As a time of `performance.now()`. */
  readonly at: number;
}

/**
 * Makes what counts the events that wait. Where there are very many, it gives a recent count, so that to ask costs little
 * however often it is done.
 */
export function createOutboxStats(
  database: Database,
  { now, isParked }: { readonly now: () => number; readonly isParked: (type: string) => boolean },
): () => Promise<OutboxStats> {
  let known: Counts | undefined;
  let counting: Promise<Counts> | undefined;

  function count(): Promise<Counts> {
    counting ??= countTypes(database).finally(() => {
      counting = undefined;
    });
    return counting.then((found) => {
      known = found;
      return found;
    });
  }

  async function recent(): Promise<Counts> {
    if (!known || known.rows <= QUICK_ROWS) return count();
    if (performance.now() - known.at < REST_FACTOR * known.tookMs) return known;
    const anew = count();
    // Also when the last count is given instead.
    anew.catch(() => {});
    return Promise.race([anew, sleep(PATIENCE_MS, known, { ref: false })]);
  }

  return async () => {
    const { counts } = await recent();
    const stats = { backlog: 0, oldestSeconds: 0, unroutable: 0 };
    for (const [type, rows] of counts) {
      stats.backlog += rows;
      if (isParked(type)) stats.unroutable += rows;
      const oldest = await oldestPending(database, type);
      if (oldest !== undefined) {
        stats.oldestSeconds = Math.max(stats.oldestSeconds, (now() - oldest) / 1000);
      }
    }
    return stats;
  };
}

async function countTypes(database: Database): Promise<Counts> {
  const start = performance.now();
  const counts = new Map<string, number>();
  let total = 0;
  let type = await nextPendingType(database, '');
  while (type !== undefined && counts.size < MAX_TYPES) {
    let sum = 0;
    for await (const rows of countPending(database, type, SECTION_ROWS)) {
      sum += rows;
      await nextTurn();
    }
    counts.set(type, sum);
    total += sum;
    type = await nextPendingType(database, type);
  }
  return { counts, rows: total, tookMs: performance.now() - start, at: performance.now() };
}

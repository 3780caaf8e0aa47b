import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, codeOf } from './driver.ts';

/**
 * How long a transaction sleeps between two attempts to begin, at least and at most: a few transactions' time, so that one
 * attempt in a few finds the lock free even where others write without a pause.
 */
const SHORTEST_SLEEP_MS = 2;
const LONGEST_SLEEP_MS = 8;

/**
 * Begins a transaction that may write. Waits for another process's without holding the event loop, until `limitMs` after
 * it was asked for, which is told as a time of `performance.now()`. Transactions that wait for the same lock find out
 * together: none asks again for what another was refused a moment ago. The connection's busy timeout is 0, as SQLite would
 * sleep in the event loop.
 *
 * @throws SqliteError `SQLITE_BUSY…` when its time is up, the signal's reason when it aborts before.
 */
export function createBegin(connection: Connection, limitMs: number) {
  let refused: { readonly at: number; readonly error: unknown } | undefined;
  return async (askedAt: number, signal: AbortSignal | undefined): Promise<void> => {
    for (;;) {
      if (!refused || performance.now() - refused.at >= SHORTEST_SLEEP_MS) {
        try {
          connection.exec('begin immediate');
          refused = undefined;
          return;
        } catch (error) {
          if (!codeOf(error).startsWith('SQLITE_BUSY')) throw error;
          refused = { at: performance.now(), error };
        }
      }
      if (performance.now() - askedAt > limitMs) throw refused.error;
      // At a time of its own, so that processes which were refused together do not come together again.
      const sleepMs = SHORTEST_SLEEP_MS + Math.random() * (LONGEST_SLEEP_MS - SHORTEST_SLEEP_MS);
      // Its abort is seen to below.
      await sleep(sleepMs, undefined, { signal }).catch(() => {});
      signal?.throwIfAborted();
    }
  };
}

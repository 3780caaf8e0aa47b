import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, codeOf } from './driver.ts';

/** How long a transaction sleeps between two attempts to begin. */
const BUSY_SLEEP_MS = 10;

/**
 * Begins a transaction that may write. Waits for another process's without holding the event loop, until `limitMs` after
 * it was asked for, which is told as a time of `performance.now()`. Transactions that wait for the same lock find out
 * together: none asks again for what another was refused a moment ago.
 *
 * @throws SqliteError `SQLITE_BUSY…` when its time is up, the signal's reason when it aborts before.
 */
export function createBegin(connection: Connection, limitMs: number) {
  let refused: { readonly at: number; readonly error: unknown } | undefined;
  return async (askedAt: number, signal: AbortSignal | undefined): Promise<void> => {
    for (;;) {
      if (!refused || performance.now() - refused.at >= BUSY_SLEEP_MS) {
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
      // Its abort is seen to below.
      await sleep(BUSY_SLEEP_MS, undefined, { signal }).catch(() => {});
      signal?.throwIfAborted();
    }
  };
}

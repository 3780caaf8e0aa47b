import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../db/database.ts';
import { lowestUuidV7 } from '../uuid.ts';
import { removeExecutionsBelow } from './history-store.ts';

const EVERY_MS = 60 * 60 * 1000;

/** How many rows a transaction removes, and how long it lets others work after that, in milliseconds. */
const CHUNK = 100;
const PAUSE_MS = 5;

interface PurgeContext {
  readonly database: Database;
  /** Calls that began before this time leave the history, in milliseconds since 1970. */
  readonly oldUntil: () => number;
  readonly logFault: (error: unknown) => void;
}

/**
 * Removes old rows now and every hour, a few at a time, so that neither the event loop nor another writer waits long.
 *
 * @returns what ends it: it resolves once no removal is under way.
 */
export function startPurge({ database, oldUntil, logFault }: PurgeContext): () => Promise<void> {
  const closing = new AbortController();
  const { signal } = closing;
  let last = Promise.resolve();

  const purge = async () => {
    const below = lowestUuidV7(oldUntil());
    try {
      for (let more = true; more && !signal.aborted; ) {
        more = await database.transaction((transaction) =>
          removeExecutionsBelow(database, transaction, below, CHUNK),
        );
        if (more) await sleep(PAUSE_MS, undefined, { ref: false, signal });
      }
    } catch (error) {
      if (!signal.aborted) logFault(error);
    }
  };
  const start = () => {
    last = last.then(purge);
  };
  start();
  const timer = setInterval(start, EVERY_MS).unref();

  return async () => {
    clearInterval(timer);
    closing.abort();
    await last;
  };
}

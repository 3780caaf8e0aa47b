import type { Database } from '../../db/database.ts';
import { takeTurns } from '../../take-turns.ts';
import { removeOldKeys } from './idempotency-store.ts';

const EVERY_MS = 60 * 60 * 1000;

/** How many keys a transaction removes. Their results may be large. */
const CHUNK = 100;

interface PurgeContext {
  readonly database: Database;
  /** Keys taken before or at this time count no more, in milliseconds since 1970. */
  readonly oldUntil: () => number;
  readonly logFault: (error: unknown) => void;
}

/**
 * Removes old keys now and every hour, a few at a time, so that neither the event loop nor another writer waits long.
 *
 * @returns what ends it: it resolves once no removal is under way.
 */
export function startPurge({ database, oldUntil, logFault }: PurgeContext): () => Promise<void> {
  let isClosed = false;
  let last = Promise.resolve();

  const purge = async () => {
    const nextTurn = takeTurns();
    const until = oldUntil();
    try {
      for (let more = true; more && !isClosed; await nextTurn()) {
        more = await database.transaction((transaction) =>
          removeOldKeys(database, transaction, until, CHUNK),
        );
      }
    } catch (error) {
      logFault(error);
    }
  };
  const start = () => {
    last = last.then(purge);
  };
  start();
  const timer = setInterval(start, EVERY_MS).unref();

  return async () => {
    isClosed = true;
    clearInterval(timer);
    await last;
  };
}

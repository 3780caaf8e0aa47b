import type { Database } from '../db/database.ts';
import { takeRecorded } from './outbox-store.ts';

/** A database that tells when a change was committed that recorded an event. */
export interface WatchedDatabase extends Database {
  /** Calls `listener` after each such commit of this process. @returns what ends that. */
  onEvents(listener: () => void): () => void;
}

/** The database as it is, with word of the events that are recorded in it: no verb has to think of that. */
export function watchEvents(database: Database): WatchedDatabase {
  const listeners = new Set<() => void>();
  return {
    ...database,
    async transaction(work, options) {
      let hasEvents = false;
      const result = await database.transaction(async (transaction) => {
        // What an attempt before has left, that was rolled back.
        takeRecorded(transaction);
        const done = await work(transaction);
        hasEvents = takeRecorded(transaction);
        return done;
      }, options);
      if (hasEvents) for (const listener of [...listeners]) listener();
      return result;
    },
    onEvents(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

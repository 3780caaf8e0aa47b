import type { Database } from '../db/database.ts';
import { EVENT_TYPES } from './message.ts';
import { nextPendingType } from './outbox-store.ts';

/** How often they are looked for, in milliseconds, and how many at most. */
const EVERY_MS = 60_000;
const MAX_TYPES = 20;

/** The types of events that wait for a newer version, which has recorded them. */
export interface UnknownTypes {
  /** Looks for them, when it is time to. Never rejects: what it cannot find out now, it does later. */
  look(): Promise<void>;
  has(type: string): boolean;
}

/** @param onFound hears of each type once. */
export function createUnknownTypes(database: Database, onFound: (type: string) => void): UnknownTypes {
  const known: readonly string[] = EVENT_TYPES;
  const found = new Set<string>();
  let dueAt = 0;

  async function findAll(): Promise<void> {
    let type: string | undefined = '';
    for (let count = 0; count < MAX_TYPES + known.length; count++) {
      type = await nextPendingType(database, type);
      if (type === undefined) return;
      if (known.includes(type) || found.has(type)) continue;
      found.add(type);
      onFound(type);
    }
  }

  return {
    async look() {
      if (performance.now() < dueAt) return;
      dueAt = performance.now() + EVERY_MS;
      await findAll().catch(() => {});
    },
    has: (type) => found.has(type),
  };
}

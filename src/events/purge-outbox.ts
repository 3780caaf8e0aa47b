import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../db/database.ts';
import { pageOfWaiting, removeSent, removeWaiting, type WaitingEvent } from './purge-store.ts';

const HOUR_MS = 60 * 60 * 1000;

/** For how long an event is kept that was sent, or that nobody listens for. */
const KEEP_MS = 24 * HOUR_MS;

/** How long a type must have been without a queue, in this process's knowledge, for its events to be looked through. */
const QUEUELESS_MS = HOUR_MS;

/** How many rows a transaction removes or a read looks at, and how long others may work after that, in milliseconds. */
const CHUNK = 100;
const PAUSE_MS = 5;

/** What is removed may be found again. */
const LIGHT = { survivesPowerLoss: false };

export interface PurgeContext {
  readonly database: Database;
  /** The time in milliseconds since 1970. */
  readonly now: () => number;
  /** Types for which no queue has been bound for at least so long, in milliseconds. */
  readonly unroutableFor: (ms: number) => readonly string[];
  readonly logFault: (error: unknown) => void;
}

/**
 * Removes events that were sent over a day ago, and those that wait for over a day without a queue and are moot, now and
 * every hour, a few at a time, so that neither the event loop nor another writer waits long.
 *
 * @returns what ends it: it resolves once no removal is under way.
 */
export function startOutboxPurge(context: PurgeContext, { everyMs = HOUR_MS } = {}): () => Promise<void> {
  const closing = new AbortController();
  const { signal } = closing;
  let last = Promise.resolve();
  const purge = async () => {
    try {
      await purgeSent(context, signal);
      for (const type of context.unroutableFor(QUEUELESS_MS)) await purgeMoot(context, type, signal);
    } catch (error) {
      if (!signal.aborted) context.logFault(error);
    }
  };
  const start = () => {
    last = last.then(purge);
  };
  start();
  const timer = setInterval(start, everyMs).unref();

  return async () => {
    clearInterval(timer);
    closing.abort();
    await last;
  };
}

async function purgeSent({ database, now }: PurgeContext, signal: AbortSignal): Promise<void> {
  const before = now() - KEEP_MS;
  for (let more = true; more && !signal.aborted; ) {
    more = await database.transaction(
      (transaction) => removeSent(database, transaction, before, CHUNK),
      LIGHT,
    );
    if (more) await sleep(PAUSE_MS, undefined, { ref: false, signal });
  }
}

/** Removes what of a type has waited for over a day and is moot. Deletions never are: they wait for ever. */
export async function purgeMoot(
  { database, now }: Pick<PurgeContext, 'database' | 'now'>,
  type: string,
  signal: AbortSignal,
): Promise<void> {
  const isMoot = MOOT[type];
  if (!isMoot) return;
  const before = now() - KEEP_MS;
  for (let after = 0; !signal.aborted; ) {
    const page = await pageOfWaiting(database, { type, after, limit: CHUNK });
    const ids = page.filter((event) => event.createdAt < before && isMoot(event)).map(({ id }) => id);
    if (ids.length > 0) {
      await database.transaction((transaction) => removeWaiting(database, transaction, ids), LIGHT);
    }
    const end = page.at(-1);
    if (!end || page.length < CHUNK || end.createdAt >= before) return;
    after = end.sequence;
    await sleep(PAUSE_MS, undefined, { ref: false, signal });
  }
}

/**
 * What a later event of the same tool makes moot: all of a tool that is gone, and an update where another followed. The
 * tool itself tells, by the time of its last change, which is that of its last event. So one event of each type is left
 * of each tool at the most. Its events would not do: those that were sent are gone after a day.
 */
const MOOT: Readonly<Record<string, ((event: WaitingEvent) => boolean) | undefined>> = Object.assign(
  Object.create(null),
  {
    'tool.created': ({ toolUpdatedAt }: WaitingEvent) => toolUpdatedAt === null,
    'tool.updated': ({ toolUpdatedAt, createdAt }: WaitingEvent) =>
      toolUpdatedAt === null || toolUpdatedAt > createdAt,
  },
);

import { setImmediate as nextImmediate } from 'node:timers/promises';
import type { Database } from '../db/database.ts';
import type { PendingEvent } from './outbox-store.ts';
import { existingTools, pageOfSubjects } from './overtaken-store.ts';

const LAST_WORD = 'tool.deleted';
const OVERTAKEN: readonly string[] = ['tool.created', 'tool.updated'];

/** So many rows are read at a time: some 1 ms of the event loop on SQLite. */
const CHUNK = 500;

/**
 * The events among these that must not be sent any more, because their tool's `tool.deleted` was sent before them: it does
 * not wait for a queue that is bound for theirs. Whoever heard of such a tool now would keep it for ever.
 *
 * The database tells, as another process may have sent it: the tool is gone, and its deletion waits no more. As both are
 * one change, events are in their order wherever the deletion still waits, and are left in it.
 *
 * @param events what waits, in the order of their sequence.
 */
export async function findOvertaken(
  database: Database,
  events: readonly PendingEvent[],
): Promise<ReadonlySet<PendingEvent>> {
  // Most often it stands a few places behind.
  const isBehind = new Set(events.filter(({ type }) => type === LAST_WORD).map(({ subject }) => subject));
  const asked = events.filter(({ type, subject }) => OVERTAKEN.includes(type) && !isBehind.has(subject));
  if (asked.length === 0) return new Set();
  const existing = await existingTools(database, [...new Set(asked.map(({ subject }) => subject))]);
  const ofGone = asked.filter(({ subject }) => !existing.has(subject));
  const overtaken = await withoutPending(database, ofGone);
  return new Set(ofGone.filter(({ subject }) => overtaken.has(subject)));
}

/** The subjects of events whose deletion does not wait. A page at a time: an outage may have left very many. */
async function withoutPending(database: Database, events: readonly PendingEvent[]): Promise<Set<string>> {
  const subjects = new Set(events.map(({ subject }) => subject));
  // A tool's deletion comes after all else of it.
  let after = events[0]?.sequence ?? 0;
  while (subjects.size > 0) {
    const page = await pageOfSubjects(database, { type: LAST_WORD, after, limit: CHUNK });
    for (const { subject } of page) subjects.delete(subject);
    const end = page.at(-1);
    if (!end || page.length < CHUNK) break;
    after = end.sequence;
    await nextImmediate();
  }
  return subjects;
}

import { describe, expect, it } from 'vitest';
import type { Database } from '../db/database.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { ALICE, testToolsContext, webhookInput } from '../testing/tools-context.ts';
import { createTool } from '../tools/create-tool.ts';
import { updateTool } from '../tools/update-tool.ts';
import { engines, insertRows, pendingOf, until } from './events-for-tests.ts';
import { purgeMoot, startOutboxPurge } from './purge-outbox.ts';

const HOUR = 60 * 60 * 1000;
const NOW = Date.UTC(2030, 0, 10);
const never = new AbortController().signal;

async function countOf({ read, tables: { outbox } }: Database): Promise<number> {
  return (await read.select({ id: outbox.id }).from(outbox)).length;
}

describe.each(engines)('the purge of events on %s', (engine) => {
  it('removes what was sent over a day ago, now and again, and nothing that waits', async () => {
    await using database = await openTestDatabase(engine);
    const sent = (publishedAt: number, count: number) =>
      Array.from({ length: count }, () => ({ type: 'tool.deleted', createdAt: 0, publishedAt }));
    await insertRows(database, [
      ...sent(NOW - 25 * HOUR, 250),
      ...sent(NOW - 23 * HOUR, 3),
      { type: 'tool.deleted', subject: 'waits', createdAt: 0 },
    ]);
    let now = NOW;
    const end = startOutboxPurge(
      { database, now: () => now, unroutableFor: () => ['tool.deleted'], logFault: () => {} },
      { everyMs: 20 },
    );
    await until(async () => (await countOf(database)) === 4);
    now += 2 * HOUR;
    await until(async () => (await countOf(database)) === 1);
    await end();
    expect(await pendingOf(database)).toEqual(['tool.deleted waits']);
  });

  it('looks through the types that have had no queue for an hour', async () => {
    await using database = await openTestDatabase(engine);
    await insertRows(database, [
      { type: 'tool.created', subject: 'gone', createdAt: NOW - 25 * HOUR },
      { type: 'tool.updated', subject: 'gone', createdAt: NOW - 25 * HOUR },
    ]);
    const asked: number[] = [];
    const unroutableFor = (ms: number) => {
      asked.push(ms);
      return ['tool.updated'];
    };
    const end = startOutboxPurge({ database, now: () => NOW, unroutableFor, logFault: () => {} });
    await until(async () => (await countOf(database)) === 1);
    await end();
    expect(asked).toEqual([HOUR]);
    expect(await pendingOf(database)).toEqual(['tool.created gone']);
  });

  it('tells of a fault, and goes on at its next turn', async () => {
    await using database = await openTestDatabase(engine);
    await insertRows(database, [{ type: 'tool.deleted', createdAt: 0, publishedAt: 0 }]);
    const faults: unknown[] = [];
    let isAway = true;
    const failing = {
      ...database,
      transaction: ((...values: Parameters<Database['transaction']>) =>
        isAway ? Promise.reject(new Error('away')) : database.transaction(...values)) as never,
    };
    const logFault = (error: unknown) => {
      faults.push(error);
      isAway = false;
    };
    const context = { database: failing, now: () => NOW, unroutableFor: () => [], logFault };
    const end = startOutboxPurge(context, { everyMs: 10 });
    await until(async () => (await countOf(database)) === 0);
    await end();
    expect(faults).toHaveLength(1);
  });
});

describe.each(engines)('moot events on %s', (engine) => {
  it('are those of tools that are gone, and updates that another followed', async () => {
    await using database = await openTestDatabase(engine);
    let now = NOW - 30 * HOUR;
    const context = { ...testToolsContext(database), now: () => now };
    const { id } = await createTool(context, ALICE, webhookInput('lives'));
    for (let index = 0; index < 3; index++) {
      now += 1000;
      const change = { name: `lives ${index}` };
      await updateTool(context, ALICE, id, change, { mode: 'merge', expected: undefined });
    }
    const last = now;
    const old = NOW - 25 * HOUR;
    // More than a chunk of them.
    const gone = Array.from({ length: 250 }, (_, index) => ({ subject: `gone ${index}`, createdAt: old }));
    await insertRows(database, [
      ...gone.flatMap((row) => ['tool.created', 'tool.updated'].map((type) => ({ ...row, type }))),
      { type: 'tool.deleted', subject: 'gone 0', createdAt: old },
      { type: 'user.deleted', subject: 'gone 1', createdAt: old },
      { type: 'tool.created', subject: 'gone lately', createdAt: NOW - 23 * HOUR },
    ]);
    for (const type of ['tool.created', 'tool.updated', 'tool.deleted', 'user.deleted', 'constructor']) {
      await purgeMoot({ database, now: () => NOW }, type, never);
    }
    expect(await pendingOf(database)).toEqual([
      `tool.created ${id}`,
      `tool.updated ${id}`,
      'tool.deleted gone 0',
      'user.deleted gone 1',
      'tool.created gone lately',
    ]);
    const rows = await database.read.select().from(database.tables.outbox);
    expect(rows.find(({ type, subject }) => type === 'tool.updated' && subject === id)?.createdAt).toBe(last);
  });
});

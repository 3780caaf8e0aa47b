import { getEventListeners } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { eq, sql } from 'drizzle-orm';
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTestDatabase } from '../../testing/test-database.ts';
import type { Database } from '../database.ts';
import { Sqlite } from './driver.ts';
import { openSqlite } from './open.ts';

const event = (id: string) => ({ id, type: 'tool.deleted', subject: 'tool', payload: '{}', createdAt: 1 });

const ids = async ({ read, tables }: Database) =>
  (await read.select().from(tables.outbox).orderBy(tables.outbox.sequence)).map((row) => row.id);

describe('openSqlite', () => {
  it('commits what a transaction did when it resolves, and nothing of one that throws', async () => {
    await using database = await openTestDatabase();
    const { outbox } = database.tables;
    const result = await database.transaction(async (transaction) => {
      await transaction.insert(outbox).values(event('a'));
      return 'done';
    });
    const failed = database.transaction(async (transaction) => {
      await transaction.insert(outbox).values(event('b'));
      throw new Error('changed my mind');
    });
    await expect(failed).rejects.toThrow('changed my mind');
    expect(result).toBe('done');
    expect(await ids(database)).toEqual(['a']);
  });

  it('waits for the disk with each commit, unless a transaction may be lost when the power goes off', async () => {
    await using database = await openTestDatabase();
    // As a driver of SQLite, which this is under its common type.
    const synchronous = async (transaction: unknown) =>
      (transaction as BetterSQLite3Database).get(sql`pragma synchronous`);
    const [full, normal] = [{ synchronous: 2 }, { synchronous: 1 }];
    expect(await database.transaction(synchronous)).toEqual(full);
    expect(await database.transaction(synchronous, { survivesPowerLoss: false })).toEqual(normal);
    const failing = async () => Promise.reject(new Error('changed my mind'));
    await database.transaction(failing, { survivesPowerLoss: false }).catch(() => {});
    expect(await database.transaction(synchronous)).toEqual(full);
  });

  it('runs transactions one after another, however long they wait', async () => {
    await using database = await openTestDatabase();
    const { outbox } = database.tables;
    const add = (id: string, turns: number) =>
      database.transaction(async (transaction) => {
        await transaction.insert(outbox).values(event(`${id}1`));
        for (let turn = 0; turn < turns; turn++) await Promise.resolve();
        await transaction.insert(outbox).values(event(`${id}2`));
      });
    await Promise.all([add('a', 20), add('b', 0), add('c', 5)]);
    expect(await ids(database)).toEqual(['a1', 'a2', 'b1', 'b2', 'c1', 'c2']);
  });

  it('keeps what is uncommitted from readers', async () => {
    await using database = await openTestDatabase();
    await database.transaction(async (transaction) => {
      await transaction.insert(database.tables.outbox).values(event('a'));
      expect(await ids(database)).toEqual([]);
    });
    expect(await ids(database)).toEqual(['a']);
  });

  it('refuses writes outside of a transaction', async () => {
    await using database = await openTestDatabase();
    await expect(
      (async () => database.read.insert(database.tables.outbox).values(event('a')))(),
    ).rejects.toThrow();
  });

  it('knows a second row under a unique key from other faults', async () => {
    await using database = await openTestDatabase();
    const { outbox } = database.tables;
    const twice = database.transaction(async (transaction) => {
      await transaction.insert(outbox).values(event('a'));
      await transaction.insert(outbox).values(event('a'));
    });
    const fault = await twice.catch((error: unknown) => error);
    expect(database.isUniqueViolation(fault)).toBe(true);
    expect(database.isUniqueViolation(new Error('other'))).toBe(false);
  });

  it('finds the rows whose column is in a list', async () => {
    await using database = await openTestDatabase();
    const { outbox } = database.tables;
    await database.transaction(async (transaction) => {
      await transaction.insert(outbox).values(['a', 'b', 'c'].map(event));
      await transaction.delete(outbox).where(eq(outbox.id, 'b'));
    });
    const query = database.read
      .select({ id: outbox.id })
      .from(outbox)
      .where(database.anyOf(outbox.id, 'ids'));
    const find = database.prepare(database.read, 'outbox_by_ids', query);
    const found = await find({ ids: JSON.stringify(['c', 'a', 'a', 'z']) });
    expect(found.map(({ id }) => id).sort()).toEqual(['a', 'c']);
  });

  it('closes twice without complaint', async () => {
    await using database = await openTestDatabase();
    await database.check();
    await database.close();
    await database.close();
    await expect(database.check()).rejects.toThrow();
  });
});

describe('check', () => {
  it('tells when migrations are not applied', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tool-service-'));
    const file = join(folder, 'tools.db');
    try {
      const empty = openSqlite(file, { migrate: false });
      await expect(empty.check()).rejects.toThrow();
      await openSqlite(file).close();
      await empty.check();
      const other = new Sqlite(file);
      other.exec(
        'delete from __drizzle_migrations where created_at = (select max(created_at) from __drizzle_migrations)',
      );
      other.close();
      await expect(empty.check()).rejects.toThrow('migrations are not applied');
      await empty.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("a transaction, while another process holds the database's lock", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tool-service-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  /** A database that another has locked until `unlock`. */
  const openLocked = (options: { busyLimitMs?: number } = {}) => {
    const file = join(folder, 'tools.db');
    const database = openSqlite(file, options);
    const other = new Sqlite(file);
    other.exec('begin immediate');
    return {
      ...database,
      unlock: () => other.close(),
      async [Symbol.asyncDispose]() {
        other.close();
        await database.close();
      },
    };
  };
  const add = (database: Database, id: string, signal?: AbortSignal) =>
    database.transaction(
      async (transaction) => {
        await transaction.insert(database.tables.outbox).values(event(id));
      },
      { signal },
    );

  it('fails when its time is up, counted from the asking, however many wait before it', async () => {
    await using database = openLocked({ busyLimitMs: 150 });
    const start = performance.now();
    const waiting = Array.from({ length: 50 }, (_, index) => add(database, String(index)));
    for (const result of await Promise.allSettled(waiting)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } });
    }
    expect(performance.now() - start).toBeLessThan(1000);
    database.unlock();
    await add(database, 'a');
    expect(await ids(database)).toEqual(['a']);
  });

  it('leaves the event loop to others meanwhile', async () => {
    await using database = openLocked();
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const waiting = add(database, 'a');
    await sleep(200);
    delay.disable();
    database.unlock();
    await waiting;
    // Half of the time was spent in SQLite when that did the waiting.
    expect(delay.percentile(50) / 1e6).toBeLessThan(10);
  });

  it('begins once the lock is given up, each in its turn', async () => {
    await using database = openLocked();
    const waiting = ['a', 'b', 'c'].map((id) => add(database, id));
    await add(database, 'gone', AbortSignal.timeout(40)).catch(() => {});
    database.unlock();
    await Promise.all(waiting);
    expect(await ids(database)).toEqual(['a', 'b', 'c']);
  });

  it('is given up when its signal aborts, at the head of the queue and in it', async () => {
    await using database = openLocked();
    const leaving = new AbortController();
    const all = [
      add(database, 'head', leaving.signal),
      add(database, 'stays'),
      add(database, 'queued', leaving.signal),
    ];
    const settled = Promise.allSettled([all[0], all[2]]);
    await database.check();
    leaving.abort('gone');
    const gone = { status: 'rejected', reason: 'gone' };
    expect(await settled).toEqual([gone, gone]);
    await expect(add(database, 'late', leaving.signal)).rejects.toBe('gone');
    database.unlock();
    await all[1];
    expect(await ids(database)).toEqual(['stays']);
    expect(getEventListeners(leaving.signal, 'abort')).toEqual([]);
  });
});

it('a transaction whose time is up before its turn comes is not begun', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tool-service-'));
  const database = openSqlite(join(folder, 'tools.db'), { busyLimitMs: 50 });
  try {
    const long = database.transaction(() => sleep(100, 'done'));
    let runs = 0;
    const late = database.transaction(async () => runs++);
    await expect(late).rejects.toMatchObject({ code: 'unavailable' });
    expect([await long, runs]).toEqual(['done', 0]);
    expect(await database.transaction(async () => ++runs)).toBe(1);
  } finally {
    await database.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

it('a transaction goes on to its end once it has begun, whoever leaves', async () => {
  await using database = await openTestDatabase();
  const leaving = new AbortController();
  const result = database.transaction(
    async (transaction) => {
      leaving.abort('gone');
      await transaction.insert(database.tables.outbox).values(event('a'));
      return 'done';
    },
    { signal: leaving.signal },
  );
  expect(await result).toBe('done');
  expect(await ids(database)).toEqual(['a']);
});

import { eq } from 'drizzle-orm';
import { describe, expect, it } from 'vitest';
import { openTestDatabase } from '../../testing/test-database.ts';
import type { Database } from '../database.ts';

const event = (id: string) => ({ id, type: 'tool.deleted', subject: 'tool', payload: '{}', createdAt: 1 });

const ids = async ({ read, tables }: Database) =>
  (await read.select().from(tables.outbox).orderBy(tables.outbox.sequence)).map((row) => row.id);

describe('openSqlite', () => {
  it('commits what a transaction did when it resolves, and nothing of one that throws', async () => {
    await using database = openTestDatabase();
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

  it('runs transactions one after another, however long they wait', async () => {
    await using database = openTestDatabase();
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
    await using database = openTestDatabase();
    await database.transaction(async (transaction) => {
      await transaction.insert(database.tables.outbox).values(event('a'));
      expect(await ids(database)).toEqual([]);
    });
    expect(await ids(database)).toEqual(['a']);
  });

  it('refuses writes outside of a transaction', async () => {
    await using database = openTestDatabase();
    await expect(
      (async () => database.read.insert(database.tables.outbox).values(event('a')))(),
    ).rejects.toThrow();
  });

  it('knows a second row under a unique key from other faults', async () => {
    await using database = openTestDatabase();
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
    await using database = openTestDatabase();
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
    await using database = openTestDatabase();
    await database.check();
    await database.close();
    await database.close();
    await expect(database.check()).rejects.toThrow();
  });
});

import { describe, expect, it } from 'vitest';
import { openTestDatabase } from '../testing/test-database.ts';
import { announce, created, deleted, engines } from './events-for-tests.ts';
import { recordEvent } from './outbox-store.ts';
import { watchEvents } from './watch-events.ts';

describe.each(engines)('watchEvents on %s', (engine) => {
  it('tells of each commit with events, once they can be read', async () => {
    await using database = await openTestDatabase(engine);
    const watched = watchEvents(database);
    const seen: Promise<object[]>[] = [];
    const end = watched.onEvents(
      () => void seen.push(Promise.resolve(database.read.select().from(database.tables.outbox))),
    );
    await announce(watched, [created('a'), deleted('a')]);
    await announce(watched, [created('b')]);
    await watched.transaction(async () => {});
    expect((await Promise.all(seen)).map(({ length }) => length)).toEqual([expect.any(Number), 3]);
    end();
    await announce(watched, [created('c')]);
    expect(seen).toHaveLength(2);
  });

  it('does not tell of what was rolled back, then or later', async () => {
    await using database = await openTestDatabase(engine);
    const watched = watchEvents(database);
    let told = 0;
    watched.onEvents(() => told++);
    const failing = watched.transaction(async (transaction) => {
      await recordEvent(watched, transaction, created('a'), 0);
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    await watched.transaction(async () => {});
    expect(told).toBe(0);
  });

  it('gives back what the work does', async () => {
    await using database = await openTestDatabase(engine);
    expect(await watchEvents(database).transaction(async () => 7)).toBe(7);
  });
});

import { describe, expect, it } from 'vitest';
import { openTestDatabase } from '../testing/test-database.ts';
import { engines, insertRows } from './events-for-tests.ts';
import { createOutboxStats } from './outbox-stats.ts';

const now = () => 100_000;

describe.each(engines)('the count of events on %s', (engine) => {
  it('is of what waits, with its age, and of what is parked', async () => {
    await using database = await openTestDatabase(engine);
    const stats = createOutboxStats(database, { now, isParked: (type) => type === 'tool.created' });
    expect(await stats()).toEqual({ backlog: 0, oldestSeconds: 0, unroutable: 0 });
    await insertRows(database, [
      { type: 'tool.deleted', createdAt: 10_000, publishedAt: 20_000 },
      { type: 'tool.created', createdAt: 60_000 },
      { type: 'tool.created', createdAt: 70_000 },
      { type: 'tool.deleted', createdAt: 90_000 },
      { type: 'unheard.of', createdAt: 99_000 },
    ]);
    expect(await stats()).toEqual({ backlog: 4, oldestSeconds: 40, unroutable: 2 });
  });

  it('is exact beyond a section of rows, and made once for all who ask together', async () => {
    await using database = await openTestDatabase(engine);
    for (let chunk = 0; chunk < 11; chunk++) {
      const rows = Array.from({ length: 1000 }, () => ({ type: 'tool.deleted', createdAt: 0 }));
      await insertRows(database, rows);
    }
    const stats = createOutboxStats(database, { now, isParked: () => false });
    const counts = await Promise.all([stats(), stats(), stats()]);
    expect(counts.map(({ backlog }) => backlog)).toEqual([11_000, 11_000, 11_000]);
  });

  it('rejects while the database does not answer, and recovers', async () => {
    await using database = await openTestDatabase(engine);
    let isAway = true;
    const failing = {
      ...database,
      prepare: ((...values: Parameters<typeof database.prepare>) => {
        const run = database.prepare(...values);
        return async (given: never) => {
          if (isAway) throw new Error('away');
          return run(given);
        };
      }) as typeof database.prepare,
      read: Object.create(database.read) as typeof database.read,
    };
    const stats = createOutboxStats(failing, { now, isParked: () => false });
    await expect(stats()).rejects.toThrow('away');
    isAway = false;
    expect(await stats()).toMatchObject({ backlog: 0 });
  });
});

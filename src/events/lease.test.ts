import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { openTestDatabase } from '../testing/test-database.ts';
import { engines, until } from './events-for-tests.ts';
import { createLease } from './lease.ts';

describe.each(engines)('a lease on %s', (engine) => {
  it('is had by one of many who try at once, and by another when it is given back', async () => {
    await using database = await openTestDatabase(engine);
    const leases = Array.from({ length: 6 }, () => createLease({ database, name: 'x', now: Date.now }));
    const taken = await Promise.all(leases.map((lease) => lease.take()));
    expect(taken.filter(Boolean)).toHaveLength(1);
    const holder = leases[taken.indexOf(true)];
    const other = leases[taken.indexOf(false)];
    expect([holder?.isHeld, other?.isHeld]).toEqual([true, false]);
    expect(await createLease({ database, name: 'y', now: Date.now }).take()).toBe(true);
    await other?.giveBack();
    expect(await other?.take()).toBe(false);
    await holder?.giveBack();
    expect(holder?.isHeld).toBe(false);
    expect(await other?.take()).toBe(true);
    other?.letGo();
  });

  it('is prolonged while it is held, and runs out when it is let go', async () => {
    await using database = await openTestDatabase(engine);
    const [one, two] = [1, 2].map(() => createLease({ database, name: 'x', now: Date.now }, 600));
    expect(await one?.take()).toBe(true);
    await sleep(900);
    expect(await two?.take()).toBe(false);
    one?.letGo();
    expect(one?.isHeld).toBe(false);
    await until(async () => (await two?.take()) === true);
    two?.letGo();
  });

  it('is its holder’s again at once after it was let go', async () => {
    await using database = await openTestDatabase(engine);
    const lease = createLease({ database, name: 'x', now: Date.now });
    await lease.take();
    lease.letGo();
    expect(await lease.take()).toBe(true);
    lease.letGo();
  });

  it('is not held by the word of a database that does not answer', async () => {
    await using database = await openTestDatabase(engine);
    let isAway = false;
    const failing = {
      ...database,
      transaction: ((...values: Parameters<typeof database.transaction>) =>
        isAway ? Promise.reject(new Error('away')) : database.transaction(...values)) as never,
    };
    const lease = createLease({ database: failing, name: 'x', now: Date.now }, 300);
    expect(await lease.take()).toBe(true);
    isAway = true;
    await until(() => !lease.isHeld, 2000);
    await expect(lease.giveBack()).rejects.toThrow('away');
  });

  it('gives back in one transaction with the work, or not at all', async () => {
    await using database = await openTestDatabase(engine);
    const lease = createLease({ database, name: 'x', now: Date.now });
    await lease.take();
    const failing = lease.giveBack(async () => {
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(await createLease({ database, name: 'x', now: Date.now }).take()).toBe(false);
  });
});

import { describe, expect, it } from 'vitest';
import { isMissing } from '../testing/services.ts';
import { type Engine, openTestDatabase } from '../testing/test-database.ts';
import { isDeletedUser, keepUser, keepUsers, markDeleted } from './deleted-users-store.ts';

const engines: Engine[] = (await isMissing('postgres')) ? ['sqlite'] : ['sqlite', 'postgres'];

/** A promise, and what resolves it. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

describe.each(engines)('deleted users on %s', (engine) => {
  it('are remembered once, with the time of the first deletion', async () => {
    await using database = await openTestDatabase(engine);
    const mark = (userId: string, now: number) =>
      database.transaction((transaction) => markDeleted(database, transaction, userId, now));
    expect(await isDeletedUser(database, 'ann')).toBe(false);
    expect([await mark('ann', 1), await mark('ann', 2), await mark('bob', 3)]).toEqual([true, false, true]);
    expect(await isDeletedUser(database, 'ann')).toBe(true);
    expect(await database.read.select().from(database.tables.deletedUsers)).toEqual([
      { userId: 'ann', deletedAt: 1 },
      { userId: 'bob', deletedAt: 3 },
    ]);
    const asked = ['eve', 'bob', 'ann', 'ann', '', '__proto__', "' or 1=1 --"];
    await database.transaction(async (transaction) => {
      expect(await keepUsers(database, transaction, asked)).toEqual(new Set(['ann', 'bob']));
      expect(await keepUsers(database, transaction, [])).toEqual(new Set());
      await keepUser(database, transaction, 'eve');
      await keepUser(database, transaction, null);
      await expect(keepUser(database, transaction, 'ann')).rejects.toMatchObject({
        code: 'permission_denied',
      });
    });
  });

  it('are not known to be deleted when the deletion failed', async () => {
    await using database = await openTestDatabase(engine);
    const failing = database.transaction(async (transaction) => {
      await markDeleted(database, transaction, 'ann', 1);
      throw new Error('stop');
    });
    await expect(failing).rejects.toThrow('stop');
    expect(await isDeletedUser(database, 'ann')).toBe(false);
  });

  it.skipIf(engine === 'sqlite')('are not waited for while they are being deleted', async () => {
    await using database = await openTestDatabase(engine);
    const keep = (userId: string) =>
      database.transaction((transaction) => keepUser(database, transaction, userId));
    const failing = database.transaction(async (transaction) => {
      await markDeleted(database, transaction, 'ann', 1);
      await expect(keep('ann')).rejects.toMatchObject({ code: 'unavailable' });
      await keep('bob');
      const unwritable = await database.transaction((other) => keepUsers(database, other, ['bob', 'ann']));
      expect(unwritable).toEqual(new Set(['ann']));
      throw new Error('stop');
    });
    await expect(failing).rejects.toThrow('stop');
    await keep('ann');
  });

  it('are deleted only once those who write for them have ended, and found deleted by those who follow', async () => {
    await using database = await openTestDatabase(engine);
    const order: string[] = [];
    const [begun, end] = [gate(), gate()];
    const write = async (name: string, userId: string) => {
      await database.transaction(async (transaction) => {
        const deleted = await keepUsers(database, transaction, [userId, 'somebody']);
        order.push(`${name} finds ${[...deleted]}`);
        begun.open();
        if (name === 'first') await end.opened;
      });
      order.push(`${name} ends`);
    };
    const first = write('first', 'ann');
    await begun.opened;
    const deletion = database.transaction(async (transaction) => {
      await markDeleted(database, transaction, 'ann', 1);
      order.push('deletion');
    });
    // On PostgreSQL nobody else waits for either.
    if (engine === 'postgres') await write('other', 'bob');
    end.open();
    await Promise.all([first, deletion]);
    await write('last', 'ann');
    expect(order.filter((step) => !step.startsWith('other'))).toEqual([
      'first finds ',
      ...(order.indexOf('deletion') < order.indexOf('first ends')
        ? ['deletion', 'first ends']
        : ['first ends', 'deletion']),
      'last finds ann',
      'last ends',
    ]);
    if (engine === 'postgres') expect(order.indexOf('other ends')).toBeLessThan(order.indexOf('deletion'));
  });
});

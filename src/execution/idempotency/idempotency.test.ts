import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import type { Database } from '../../db/database.ts';
import { createEncryption } from '../../encryption.ts';
import { openTestDatabase } from '../../testing/test-database.ts';
import { CallError } from '../call.ts';
import {
  controlledRun,
  HOUR_MS,
  keyedCall,
  never,
  storedKeys,
  success,
  testIdempotency,
} from './idempotency-for-tests.ts';

const notRun = async () => {
  throw new Error('was run again');
};

describe('a call with an idempotency key', () => {
  it('runs once for a hundred callers, and gives all of them its outcome', async () => {
    await using database = await openTestDatabase();
    await using idempotency = testIdempotency(database);
    const controlled = controlledRun();
    const callers = Array.from({ length: 100 }, () =>
      idempotency.runOnce(keyedCall(), never, controlled.run),
    );
    await controlled.began;
    controlled.end(success('"done"'));
    const outcomes = await Promise.all(callers);
    expect(controlled.count).toBe(1);
    expect(outcomes.filter(({ replayed }) => !replayed)).toHaveLength(1);
    for (const outcome of outcomes) expect(outcome).toMatchObject(success('"done"'));
    expect(await idempotency.runOnce(keyedCall(), never, notRun)).toEqual({
      ...success('"done"'),
      replayed: true,
    });
    // What stays of a signal is the one listener that all share.
    expect(getEventListeners(never, 'abort').length).toBeLessThan(2);
  });

  it('keeps outputs up to 1 MiB; of a larger one, which the first caller gets whole, that it ran', async () => {
    await using database = await openTestDatabase();
    await using idempotency = testIdempotency(database);
    const limit = 1024 * 1024;
    const outputs = { fits: 'x'.repeat(limit), large: 'ü'.repeat(limit / 2 + 1) };
    for (const [key, output] of Object.entries(outputs)) {
      const first = await idempotency.runOnce(keyedCall({ key }), never, async () => success(output));
      expect(first.output === output && !first.replayed).toBe(true);
    }
    const fits = await idempotency.runOnce(keyedCall({ key: 'fits' }), never, notRun);
    expect(fits.output === outputs.fits && fits.replayed).toBe(true);
    expect(await idempotency.runOnce(keyedCall({ key: 'large' }), never, notRun)).toEqual({
      status: 'error',
      errorCode: 'outcome_unknown',
      output: expect.stringMatching(/has executed.*too large to keep/),
      replayed: true,
    });
    const large = (await storedKeys(database)).find(({ key }) => key === 'large');
    expect(large?.result?.length).toBeLessThan(1000);
  });

  it('is stored before it runs', async () => {
    await using database = await openTestDatabase();
    await using idempotency = testIdempotency(database, { now: () => 1000, leaseMs: 5000 });
    await idempotency.runOnce(keyedCall(), never, async () => {
      expect(await storedKeys(database)).toMatchObject([
        { ...keyedCall(), createdAt: 1000, leaseUntil: 6000, result: null },
      ]);
      return success('1');
    });
    expect(await storedKeys(database)).toMatchObject([{ result: expect.any(String) }]);
  });

  it('conflicts with other arguments, while it runs and when it has ended', async () => {
    await using database = await openTestDatabase();
    await using idempotency = testIdempotency(database);
    const controlled = controlledRun();
    const first = idempotency.runOnce(keyedCall(), never, controlled.run);
    const other = keyedCall({ argumentsHash: 'b' });
    const conflict = { code: 'idempotency_conflict', mayHaveRun: false };
    await expect(idempotency.runOnce(other, never, notRun)).rejects.toMatchObject(conflict);
    controlled.end(success('1'));
    await first;
    await expect(idempotency.runOnce(other, never, notRun)).rejects.toMatchObject(conflict);
    expect(await idempotency.runOnce(keyedCall(), never, notRun)).toMatchObject(success('1'));
    expect(idempotency.faults).toEqual([]);
  });

  it("is apart from another user's, another tool's, and any key that looks alike", async () => {
    await using database = await openTestDatabase();
    await using idempotency = testIdempotency(database);
    const visible = Array.from({ length: 94 }, (_, index) => String.fromCharCode(0x21 + index)).join('');
    const calls = [
      keyedCall(),
      keyedCall({ userId: 'bob' }),
      keyedCall({ toolId: 'tool-2' }),
      keyedCall({ userId: 'alice","tool-1', toolId: 'key-1' }),
      ...['KEY-1', '__proto__', 'constructor', "' or 1=1 --", '%', '?1', visible, 'x'.repeat(255)].map(
        (key) => keyedCall({ key }),
      ),
    ];
    const outputs = calls.map((_, index) => String(index));
    const firsts = await Promise.all(
      calls.map((call, index) => idempotency.runOnce(call, never, async () => success(String(index)))),
    );
    expect(firsts.map(({ output }) => output)).toEqual(outputs);
    expect(firsts.every(({ replayed }) => !replayed)).toBe(true);
    const seconds = await Promise.all(calls.map((call) => idempotency.runOnce(call, never, notRun)));
    expect(seconds.map(({ output }) => output)).toEqual(outputs);
  });

  it('keeps an error of what may have run: its code and words alone', async () => {
    await using database = await openTestDatabase();
    await using idempotency = testIdempotency(database);
    const failures = [
      { key: 'timeout', error: new CallError('timeout', 'It took too long.', { cause: 'secret' }) },
      { key: 'fault', error: new TypeError('a path of ours') },
    ];
    for (const { key, error } of failures) {
      const call = keyedCall({ key });
      await expect(idempotency.runOnce(call, never, () => Promise.reject(error))).rejects.toBe(error);
    }
    const replay = (key: string) => idempotency.runOnce(keyedCall({ key }), never, notRun);
    expect(await replay('timeout')).toEqual({
      status: 'error',
      output: 'It took too long.',
      errorCode: 'timeout',
      replayed: true,
    });
    expect(await replay('fault')).toEqual({
      status: 'error',
      output: 'The tool failed by an internal error.',
      errorCode: 'internal',
      replayed: true,
    });
  });

  it('gives the key back after an error that cannot have run, and one that waits becomes the first', async () => {
    await using database = await openTestDatabase();
    await using idempotency = testIdempotency(database);
    const refused = controlledRun();
    const second = controlledRun();
    const first = idempotency.runOnce(keyedCall(), never, refused.run);
    const waiting = Array.from({ length: 10 }, () => idempotency.runOnce(keyedCall(), never, second.run));
    const error = new CallError('circuit_open', 'Not now.', { mayHaveRun: false });
    await refused.began;
    refused.fail(error);
    await expect(first).rejects.toBe(error);
    await second.began;
    second.end(success('2'));
    const outcomes = await Promise.all(waiting);
    expect(outcomes.every(({ output }) => output === '2')).toBe(true);
    expect([refused.count, second.count]).toEqual([1, 1]);
  });

  it('may be used with other arguments after an error that cannot have run', async () => {
    await using database = await openTestDatabase();
    await using idempotency = testIdempotency(database);
    const error = new CallError('unreachable', 'No connection.', { mayHaveRun: false });
    await expect(idempotency.runOnce(keyedCall(), never, () => Promise.reject(error))).rejects.toBe(error);
    expect(await storedKeys(database)).toEqual([]);
    const other = keyedCall({ argumentsHash: 'b' });
    expect(await idempotency.runOnce(other, never, async () => success('1'))).toMatchObject({
      replayed: false,
    });
  });

  it('lets one that waits leave, without touching the run', async () => {
    await using database = await openTestDatabase();
    await using idempotency = testIdempotency(database);
    const controlled = controlledRun();
    const first = idempotency.runOnce(keyedCall(), never, controlled.run);
    const leaving = new AbortController();
    const waiting = idempotency.runOnce(keyedCall(), leaving.signal, notRun);
    leaving.abort('gone');
    await expect(waiting).rejects.toBe('gone');
    expect(getEventListeners(leaving.signal, 'abort')).toEqual([]);
    controlled.end(success('1'));
    expect(await first).toEqual({ ...success('1'), replayed: false });
    expect(await idempotency.runOnce(keyedCall(), never, notRun)).toMatchObject(success('1'));
  });

  it('is not run for a caller that left before', async () => {
    await using database = await openTestDatabase();
    const leaving = new AbortController();
    await using idempotency = testIdempotency({
      ...database,
      // Leaves while the key is stored.
      transaction: async (work) => {
        const result = await database.transaction(work);
        leaving.abort('gone');
        return result;
      },
    });
    await expect(idempotency.runOnce(keyedCall(), AbortSignal.abort('early'), notRun)).rejects.toBe('early');
    await expect(idempotency.runOnce(keyedCall(), leaving.signal, notRun)).rejects.toBe('gone');
    await idempotency.close();
    expect(await storedKeys(database)).toEqual([]);
  });

  it('can be used anew after 24 hours, also when its outcome cannot be read', async () => {
    await using database = await openTestDatabase();
    let time = 1_000_000;
    const now = () => time;
    await using idempotency = testIdempotency(database, { now });
    await idempotency.runOnce(keyedCall(), never, async () => success('old'));
    const encryption = createEncryption([Buffer.alloc(32, 8)]);
    await using rotated = testIdempotency(database, { now, encryption });

    time += 24 * HOUR_MS - 1;
    expect(await idempotency.runOnce(keyedCall(), never, notRun)).toMatchObject(success('old'));
    expect(await rotated.runOnce(keyedCall(), never, notRun)).toMatchObject({
      errorCode: 'outcome_unknown',
      output: expect.stringContaining('cannot be read'),
    });
    expect(rotated.faults).toHaveLength(1);

    time += 1;
    const call = keyedCall({ argumentsHash: 'b' });
    expect(await rotated.runOnce(call, never, async () => success('new'))).toEqual({
      ...success('new'),
      replayed: false,
    });
    expect(await rotated.runOnce(call, never, notRun)).toMatchObject(success('new'));
  });

  it('is removed after 24 hours, however many there are', async () => {
    await using database = await openTestDatabase();
    const day = 24 * HOUR_MS;
    const row = (index: number) => ({
      ...keyedCall({ key: `key-${index}` }),
      run: `run-${index}`,
      createdAt: index,
      leaseUntil: index,
    });
    await database.transaction(async (transaction) => {
      await transaction
        .insert(database.tables.idempotencyKeys)
        .values(Array.from({ length: 350 }, (_, i) => row(i)));
    });
    const idempotency = testIdempotency(database, { now: () => day + 339 });
    await expect.poll(() => storedKeys(database)).toHaveLength(10);
    await idempotency.close();
    expect((await storedKeys(database)).map(({ createdAt }) => createdAt)).toEqual(
      Array.from({ length: 10 }, (_, index) => 340 + index),
    );
    expect(idempotency.faults).toEqual([]);
  });
});

describe('an idempotency key, when the database fails', () => {
  /** A database whose transactions fail while `fails` says so. */
  const failing = (database: Database, fails: () => boolean): Database => ({
    ...database,
    transaction: (work) => (fails() ? Promise.reject(new Error('disk full')) : database.transaction(work)),
  });

  it('runs nothing when the key cannot be stored', async () => {
    await using database = await openTestDatabase();
    await using idempotency = testIdempotency(failing(database, () => true));
    await expect(idempotency.runOnce(keyedCall(), never, notRun)).rejects.toMatchObject({
      name: 'CallError',
      code: 'internal',
      mayHaveRun: false,
      message: expect.not.stringContaining('disk'),
    });
    expect(idempotency.faults).toContainEqual(new Error('disk full'));
  });

  it('gives the outcome all the same, never runs again, and stores it when the database is back', async () => {
    await using database = await openTestDatabase();
    let [time, isDown] = [1_000_000, false];
    const now = () => time;
    await using idempotency = testIdempotency(
      failing(database, () => isDown),
      { now, storeMs: 10 },
    );
    const first = idempotency.runOnce(keyedCall(), never, async () => {
      isDown = true;
      return success('1');
    });
    const second = idempotency.runOnce(keyedCall(), never, notRun);
    expect(await first).toEqual({ ...success('1'), replayed: false });
    expect(await second).toEqual({ ...success('1'), replayed: true });
    await expect.poll(() => idempotency.faults, { interval: 10 }).toEqual([new Error('disk full')]);

    // To another process it is cut off once the lease has passed; this one's callers have it all along.
    time += 5000;
    await using other = testIdempotency(database, { now });
    const cutOff = { errorCode: 'outcome_unknown' };
    expect(await other.runOnce(keyedCall(), never, notRun)).toMatchObject(cutOff);
    expect(await idempotency.runOnce(keyedCall(), never, notRun)).toMatchObject(success('1'));

    isDown = false;
    const stored = async () => (await storedKeys(database))[0]?.result;
    await expect.poll(stored, { interval: 10, timeout: 5000 }).toEqual(expect.any(String));
    expect(await other.runOnce(keyedCall(), never, notRun)).toMatchObject(success('1'));
    expect(await idempotency.runOnce(keyedCall(), never, notRun)).toMatchObject(success('1'));
  });

  it('gives a key back when the database is back, and one that waits becomes the first', async () => {
    await using database = await openTestDatabase();
    let isDown = false;
    await using idempotency = testIdempotency(
      failing(database, () => isDown),
      { storeMs: 10 },
    );
    const error = new CallError('circuit_open', 'Not now.', { mayHaveRun: false });
    const refused = idempotency.runOnce(keyedCall(), never, async () => {
      isDown = true;
      throw error;
    });
    const waiting = idempotency.runOnce(keyedCall(), never, async () => success('2'));
    await expect(refused).rejects.toBe(error);
    await expect.poll(() => idempotency.faults, { interval: 10 }).toEqual([new Error('disk full')]);
    isDown = false;
    expect(await waiting).toEqual({ ...success('2'), replayed: false });
  });

  it('is given up when it closes, after a bounded time', async () => {
    await using database = await openTestDatabase();
    let isDown = false;
    const idempotency = testIdempotency(
      failing(database, () => isDown),
      { storeMs: 10, closeMs: 10 },
    );
    await idempotency.runOnce(keyedCall(), never, async () => {
      isDown = true;
      return success('1');
    });
    await idempotency.close();
    const givenUp = new Error('the ending of a run with an idempotency key was not stored');
    await expect.poll(() => idempotency.faults, { interval: 10 }).toContainEqual(givenUp);
    expect(await storedKeys(database)).toMatchObject([{ result: null }]);
  });

  it('stores the outcome at a later attempt', async () => {
    await using database = await openTestDatabase();
    let failures = 0;
    await using idempotency = testIdempotency(failing(database, () => failures-- > 0));
    await idempotency.runOnce(keyedCall(), never, async () => {
      failures = 2;
      return success('1');
    });
    expect(await storedKeys(database)).toMatchObject([{ result: expect.any(String) }]);
    expect(idempotency.faults).toEqual([]);
  });
});

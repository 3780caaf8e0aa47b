import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Sqlite } from '../../db/sqlite/driver.ts';
import { openSqlite } from '../../db/sqlite/open.ts';
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

describe('an idempotency key of several processes', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tool-service-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const openProcess = (options?: Parameters<typeof testIdempotency>[1]) => {
    const database = openSqlite(join(folder, 'tools.db'));
    const idempotency = testIdempotency(database, options);
    return {
      ...idempotency,
      database,
      async [Symbol.asyncDispose]() {
        await idempotency.close();
        await database.close();
      },
    };
  };

  it('runs once: the second process waits for the first', async () => {
    await using one = openProcess();
    await using two = openProcess();
    const controlled = controlledRun();
    const first = one.runOnce(keyedCall(), never, controlled.run);
    await controlled.began;
    const second = two.runOnce(keyedCall(), never, notRun);
    await expect(two.runOnce(keyedCall({ argumentsHash: 'b' }), never, notRun)).rejects.toMatchObject({
      code: 'idempotency_conflict',
    });
    controlled.end(success('1'));
    expect(await first).toEqual({ ...success('1'), replayed: false });
    expect(await second).toEqual({ ...success('1'), replayed: true });
  });

  it('runs once when both begin at the same time', async () => {
    await using one = openProcess();
    await using two = openProcess();
    let count = 0;
    const run = async () => success(String(++count));
    const calls = [one, two, two, one, one, two].map((process) => process.runOnce(keyedCall(), never, run));
    const outcomes = await Promise.all(calls);
    expect(count).toBe(1);
    expect(outcomes.filter(({ replayed }) => !replayed)).toHaveLength(1);
  });

  it('passes to the second when the first cannot have run', async () => {
    await using one = openProcess();
    await using two = openProcess();
    const refused = controlledRun();
    const first = one.runOnce(keyedCall(), never, refused.run);
    await refused.began;
    const second = two.runOnce(keyedCall(), never, async () => success('2'));
    const error = new CallError('resource_exhausted', 'Too many.', { mayHaveRun: false });
    refused.fail(error);
    await expect(first).rejects.toBe(error);
    expect(await second).toEqual({ ...success('2'), replayed: false });
  });

  it('lets one that waits for another process leave, without touching the run', async () => {
    await using one = openProcess();
    await using two = openProcess();
    const controlled = controlledRun();
    const first = one.runOnce(keyedCall(), never, controlled.run);
    await controlled.began;
    const leaving = new AbortController();
    const second = two.runOnce(keyedCall(), leaving.signal, notRun);
    const before = await storedKeys(two.database);
    leaving.abort('gone');
    await expect(second).rejects.toBe('gone');
    expect(await storedKeys(two.database)).toEqual(before);
    controlled.end(success('1'));
    expect(await first).toMatchObject(success('1'));
  });

  it('survives a restart, encrypted', async () => {
    const secret = '"a very recognizable output"';
    {
      await using before = openProcess();
      await before.runOnce(keyedCall(), never, async () => success(secret));
      const files = readdirSync(folder);
      expect(files).toContain('tools.db-wal');
      for (const file of files) expect(readFileSync(join(folder, file)).includes('recognizable')).toBe(false);
    }
    await using after = openProcess();
    expect(await after.runOnce(keyedCall(), never, notRun)).toEqual({ ...success(secret), replayed: true });
    expect(readFileSync(join(folder, 'tools.db')).includes('recognizable')).toBe(false);
  });

  it('is not run again when its process was killed', async () => {
    const runs = join(folder, 'runs');
    const program = join(import.meta.dirname, 'cut-off-run-for-tests.ts');
    const child = spawn(process.execPath, ['--import', 'tsx', program, join(folder, 'tools.db'), runs], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const exit = once(child, 'exit');
      await Promise.race([once(child.stdout, 'data'), exit]);
      child.kill('SIGKILL');
      expect(await exit).toEqual([null, 'SIGKILL']);
    } finally {
      child.kill('SIGKILL');
    }
    await using after = openProcess();
    const outcome = await after.runOnce(keyedCall(), never, notRun);
    expect(outcome).toMatchObject({
      status: 'error',
      errorCode: 'outcome_unknown',
      output: expect.stringContaining('may have executed'),
    });
    expect(await after.runOnce(keyedCall(), never, notRun)).toEqual(outcome);
    await expect(after.runOnce(keyedCall({ argumentsHash: 'b' }), never, notRun)).rejects.toMatchObject({
      code: 'idempotency_conflict',
    });
    expect(readFileSync(runs, 'utf8')).toBe('ran\n');
  });
});

describe("an idempotency key, while another process holds the database's lock", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tool-service-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const openLockable = (options?: Parameters<typeof testIdempotency>[1]) => {
    const file = join(folder, 'tools.db');
    const database = openSqlite(file);
    const idempotency = testIdempotency(database, options);
    const other = new Sqlite(file);
    return {
      ...idempotency,
      database,
      lock: () => other.exec('begin immediate'),
      unlock: () => other.exec('rollback'),
      async [Symbol.asyncDispose]() {
        other.close();
        await idempotency.close();
        await database.close();
      },
    };
  };

  it('holds up no call for longer than its time, however many wait: none runs, and no key stays', async () => {
    await using process = openLockable();
    process.lock();
    const start = performance.now();
    const calls = Array.from({ length: 8 }, (_, index) =>
      process.runOnce(keyedCall({ key: `key-${index % 6}` }), AbortSignal.timeout(60), notRun),
    );
    for (const result of await Promise.allSettled(calls)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { name: 'TimeoutError' } });
    }
    expect(performance.now() - start).toBeLessThan(1000);
    process.unlock();
    expect(await process.runOnce(keyedCall(), never, async () => success('1'))).toMatchObject(success('1'));
    expect(await storedKeys(process.database)).toHaveLength(1);
    expect(process.faults).toEqual([]);
  });

  it.each([
    ['its deadline comes', () => AbortSignal.timeout(50), {}],
    ['it takes long', () => never, { storeMs: 20 }],
  ])('gives an outcome that cannot be stored when %s, and stores it later', async (_, signal, options) => {
    await using process = openLockable(options);
    const start = performance.now();
    const first = process.runOnce(keyedCall(), signal(), async () => {
      process.lock();
      return success('1');
    });
    expect(await first).toEqual({ ...success('1'), replayed: false });
    expect(performance.now() - start).toBeLessThan(900);
    // The same call need not wait for the database either; one with other arguments conflicts.
    expect(await process.runOnce(keyedCall(), never, notRun)).toEqual({ ...success('1'), replayed: true });
    await expect(process.runOnce(keyedCall({ argumentsHash: 'b' }), never, notRun)).rejects.toMatchObject({
      code: 'idempotency_conflict',
    });
    // A crash now leaves a run that was cut off.
    expect(await storedKeys(process.database)).toMatchObject([{ result: null }]);
    const closing = process.close();
    process.unlock();
    await closing;
    expect(await storedKeys(process.database)).toMatchObject([{ result: expect.any(String) }]);
    expect(process.faults).toEqual([]);
  });

  it('is given back late after an error that cannot have run, and whoever waits for it runs then', async () => {
    await using process = openLockable();
    const error = new CallError('unreachable', 'No connection.', { mayHaveRun: false });
    const first = process.runOnce(keyedCall(), AbortSignal.timeout(30), async () => {
      process.lock();
      throw error;
    });
    const [leaves, stays] = [AbortSignal.timeout(30), never].map((signal) =>
      process.runOnce(keyedCall(), signal, async () => success('2')),
    );
    await expect(first).rejects.toBe(error);
    await expect(leaves).rejects.toMatchObject({ name: 'TimeoutError' });
    process.unlock();
    expect(await stays).toEqual({ ...success('2'), replayed: false });
  });
});

describe('the lease of a run', () => {
  it('is moved on for as long as it runs, and then no more', async () => {
    await using database = await openTestDatabase();
    let time = 1_000_000;
    const timing = { now: () => time, leaseMs: 5000, renewMs: 5 };
    await using one = testIdempotency(database, timing);
    await using two = testIdempotency(database, timing);
    const controlled = controlledRun();
    const first = one.runOnce(keyedCall(), never, controlled.run);
    await controlled.began;
    const leaseUntil = async () => (await storedKeys(database))[0]?.leaseUntil;
    for (let round = 0; round < 4; round++) {
      time += 4000;
      await expect.poll(leaseUntil, { interval: 2 }).toBe(time + 5000);
    }
    // Far beyond the first lease, and waited for nevertheless.
    const second = two.runOnce(keyedCall(), never, notRun);
    controlled.end(success('1'));
    expect(await first).toMatchObject(success('1'));
    expect(await second).toEqual({ ...success('1'), replayed: true });
    const { length } = await storedKeys(database);
    expect([length, one.faults, two.faults]).toEqual([1, [], []]);
  });

  it('is moved on for its own run alone', async () => {
    await using database = await openTestDatabase();
    let time = 1_000_000;
    // One that was cut off, and began later than the one that lives.
    const cutOff = { ...keyedCall(), run: 'another', createdAt: time + 1, leaseUntil: time + 1 };
    await database.transaction(async (transaction) => {
      await transaction.insert(database.tables.idempotencyKeys).values(cutOff);
    });
    await using idempotency = testIdempotency(database, { now: () => time, renewMs: 5 });
    const controlled = controlledRun();
    const running = idempotency.runOnce(keyedCall({ key: 'own' }), never, controlled.run);
    await controlled.began;
    time += HOUR_MS;
    const lease = async (key: string) =>
      (await storedKeys(database)).find((row) => row.key === key)?.leaseUntil;
    await expect.poll(() => lease('own'), { interval: 2 }).toBe(time + 5000);
    expect(await lease('key-1')).toBeLessThan(time);
    // To its callers the other is cut off.
    expect(await idempotency.runOnce(keyedCall(), never, notRun)).toMatchObject({
      errorCode: 'outcome_unknown',
    });
    controlled.end(success('1'));
    await running;
  });

  it('revives a run that was thought cut off', async () => {
    await using database = await openTestDatabase();
    let time = 1_000_000;
    await using one = testIdempotency(database, { now: () => time });
    await using two = testIdempotency(database, { now: () => time });
    const controlled = controlledRun();
    const first = one.runOnce(keyedCall(), never, controlled.run);
    await controlled.began;
    time += 5000;
    expect(await two.runOnce(keyedCall(), never, notRun)).toMatchObject({ errorCode: 'outcome_unknown' });
    controlled.end(success('1'));
    await first;
    expect(await two.runOnce(keyedCall(), never, notRun)).toMatchObject(success('1'));
  });
});

describe('a key that is used anew', () => {
  it('waits for the new run, whatever the old one came to', async () => {
    await using database = await openTestDatabase();
    let time = 1_000_000;
    await using one = testIdempotency(database, { now: () => time });
    await using two = testIdempotency(database, { now: () => time });
    await one.runOnce(keyedCall(), never, async () => success('old'));
    time += 24 * HOUR_MS;
    const controlled = controlledRun();
    const first = one.runOnce(keyedCall(), never, controlled.run);
    await controlled.began;
    const second = two.runOnce(keyedCall(), never, notRun);
    expect(await storedKeys(database)).toMatchObject([{ createdAt: time, result: null }]);
    controlled.end(success('new'));
    expect(await first).toEqual({ ...success('new'), replayed: false });
    expect(await second).toEqual({ ...success('new'), replayed: true });
  });

  it.each([
    ['ends', (run: ReturnType<typeof controlledRun>) => run.end(success('old'))],
    [
      'turns out not to have run',
      (run: ReturnType<typeof controlledRun>) =>
        run.fail(new CallError('unreachable', 'No connection.', { mayHaveRun: false })),
    ],
  ])('is not touched by an old run that %s only now', async (_, finish) => {
    await using database = await openTestDatabase();
    let time = 1_000_000;
    await using one = testIdempotency(database, { now: () => time });
    await using two = testIdempotency(database, { now: () => time });
    const controlled = controlledRun();
    const first = one.runOnce(keyedCall(), never, controlled.run);
    await controlled.began;
    time += 24 * HOUR_MS;
    await two.runOnce(keyedCall(), never, async () => success('new'));
    finish(controlled);
    await first.catch(() => {});
    expect(await two.runOnce(keyedCall(), never, notRun)).toMatchObject(success('new'));
  });
});

describe('closing', () => {
  it('waits for the runs under way, and twice is once', async () => {
    await using database = await openTestDatabase();
    const idempotency = testIdempotency(database);
    const controlled = controlledRun();
    const running = idempotency.runOnce(keyedCall(), never, controlled.run);
    await controlled.began;
    let isClosed = false;
    const closing = idempotency.close().then(() => {
      isClosed = true;
    });
    await database.check();
    expect(isClosed).toBe(false);
    controlled.end(success('1'));
    await Promise.all([closing, idempotency.close()]);
    expect(await storedKeys(database)).toMatchObject([{ result: expect.any(String) }]);
    await running;
  });

  it('waits a bounded time', async () => {
    await using database = await openTestDatabase();
    const idempotency = testIdempotency(database, { closeMs: 10 });
    const controlled = controlledRun();
    const running = idempotency.runOnce(keyedCall(), never, controlled.run);
    await controlled.began;
    await idempotency.close();
    controlled.end(success('1'));
    await running;
  });
});

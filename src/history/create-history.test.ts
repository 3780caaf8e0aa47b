import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { Database } from '../db/database.ts';
import { openSqlite } from '../db/sqlite/open.ts';
import { createEncryption } from '../encryption.ts';
import { ServiceError } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import { isMissing } from '../testing/services.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { ALICE } from '../testing/tools-context.ts';
import { markDeleted } from '../users/deleted-users-store.ts';
import type { ExecutionRecord } from './execution-record.ts';
import { DAY_MS, NOW, record, storedRows, testEncryption, testHistory } from './history-for-tests.ts';
import { listExecutions } from './list-executions.ts';

const noPostgres = await isMissing('postgres');

/** A database whose transactions fail while `fault` is set; `attempts` counts them. */
function unsteady(database: Database) {
  const state = { fault: undefined as Error | undefined, attempts: 0 };
  const transaction: Database['transaction'] = async (work) => {
    state.attempts++;
    if (state.fault) throw state.fault;
    return database.transaction(work);
  };
  return { ...database, state, transaction };
}
const away = () => new ServiceError('unavailable', 'The database cannot take changes now. Try again.');

const callIds = async (database: Database) => (await storedRows(database)).map(({ callId }) => callId);
const listed = (database: Database) => listExecutions({ database, encryption: testEncryption }, ALICE, {});

describe('the history', () => {
  it('keeps what a call came to, without its payload', async () => {
    await using database = await openTestDatabase();
    await using history = testHistory(database);
    history.record(record({ arguments: { city: 'Zürich' }, output: '"schön"' }));
    history.record(record({ errorCode: 'timeout', toolId: '', attempts: 3 }));
    await history.flush();
    const { argumentBytes, ...row } = (await storedRows(database))[0] ?? {};
    expect(row).toEqual({
      id: expect.stringMatching(/^01b8dac5-b400-7/),
      userId: ALICE.userId,
      toolId: '99999999-9999-4999-8999-999999999999',
      toolName: 'weather',
      callId: 'call-1',
      requestId: 'request-1',
      errorCode: null,
      startedAt: NOW,
      durationMs: 12,
      attempts: 1,
      outputBytes: 8,
      argumentsHash: 'a'.repeat(64),
      arguments: null,
      output: null,
    });
    expect(argumentBytes).toBe(Buffer.byteLength('{"city":"Zürich"}'));
    expect((await listed(database)).executions).toMatchObject([
      { status: 'error', errorCode: 'timeout', toolId: null, attempts: 3, arguments: null, output: null },
      { status: 'success', errorCode: null, startedAt: new Date(NOW) },
    ]);
    expect(history.faults).toEqual([]);
  });

  it('writes by itself, a batch at a time, in the order of the calls', async () => {
    await using database = await openTestDatabase();
    const counted = unsteady(database);
    await using history = testHistory(counted);
    await vi.waitFor(() => expect(counted.state.attempts).toBe(1));
    for (let index = 0; index < 20; index++) history.record(record({ callId: `call ${index}` }));
    expect(await storedRows(database)).toEqual([]);
    await vi.waitFor(async () => expect(await storedRows(database)).toHaveLength(20), { timeout: 2000 });
    // One for the purge at the start.
    expect(counted.state.attempts).toBe(2);
    expect(await callIds(database)).toEqual(Array.from({ length: 20 }, (_, index) => `call ${index}`));
  });

  it('writes a full batch at once', async () => {
    await using database = await openTestDatabase();
    await using history = testHistory(database, {}, { batchMs: 3_600_000 });
    for (let index = 0; index < 500; index++) history.record(record());
    await vi.waitFor(async () => expect(await storedRows(database)).toHaveLength(500));
    expect(history.faults).toEqual([]);
  });

  it('writes when it closes, and nothing after that', async () => {
    await using database = await openTestDatabase();
    const history = testHistory(database);
    for (let index = 0; index < 150; index++) history.record(record());
    await Promise.all([history.close(), history.close()]);
    expect(await storedRows(database)).toHaveLength(150);
    history.record(record());
    await history.flush();
    expect(history.dropped()).toBe(1);
    expect(await storedRows(database)).toHaveLength(150);
  });

  it('keeps rows while the database is away, and writes each once when it is back', async () => {
    await using database = await openTestDatabase();
    const flaky = unsteady(database);
    await using history = testHistory(flaky, {}, { batchMs: 1, firstPauseMs: 1, longestPauseMs: 4 });
    await vi.waitFor(() => expect(flaky.state.attempts).toBe(1));
    flaky.state.fault = away();
    for (let index = 0; index < 250; index++) history.record(record({ callId: String(index) }));
    await vi.waitFor(() => expect(flaky.state.attempts).toBeGreaterThan(4));
    expect(await storedRows(database)).toEqual([]);
    expect(history.faults).toEqual([flaky.state.fault]);
    flaky.state.fault = undefined;
    await vi.waitFor(async () => expect(await storedRows(database)).toHaveLength(250));
    expect(await callIds(database)).toEqual(Array.from({ length: 250 }, (_, index) => String(index)));
    expect(history.dropped()).toBe(0);
  });

  it('pauses ever longer between attempts', async () => {
    await using database = await openTestDatabase();
    const flaky = unsteady(database);
    await using history = testHistory(flaky, {}, { batchMs: 1, firstPauseMs: 1, longestPauseMs: 3_600_000 });
    await vi.waitFor(() => expect(flaky.state.attempts).toBe(1));
    flaky.state.fault = away();
    // Many rows ask for a write at once; none may go around the pause.
    for (let index = 0; index < 2000; index++) history.record(record());
    const start = performance.now();
    await vi.waitFor(() => expect(flaky.state.attempts).toBeGreaterThanOrEqual(7));
    // 1 + 2 + 4 + 8 + 16 milliseconds lie between six attempts, and so on; timers may be a little early.
    const pausesMs = 2 ** (flaky.state.attempts - 2) - 1;
    expect(performance.now() - start).toBeGreaterThan(0.65 * pausesMs);
    flaky.state.fault = undefined;
  });

  it('writes a row once, though the database failed after it had taken it', async () => {
    await using database = await openTestDatabase();
    let failures = 2;
    const forgetful: Database = {
      ...database,
      async transaction(work) {
        const result = await database.transaction(work);
        if (failures-- > 0) throw away();
        return result;
      },
    };
    await using history = testHistory(forgetful, {}, { firstPauseMs: 1 });
    history.record(record());
    await history.flush();
    await history.flush();
    await vi.waitFor(() => expect(failures).toBeLessThan(0));
    expect(await storedRows(database)).toHaveLength(1);
  });

  it('does not let a row that cannot be written keep back others', async () => {
    await using database = await openTestDatabase();
    await using history = testHistory(database);
    history.record({ ...record(), argumentsHash: null as unknown as string });
    await history.flush();
    expect(history.dropped()).toBe(1);
    expect(history.faults).toHaveLength(1);
    history.record(record());
    await history.flush();
    expect(await storedRows(database)).toHaveLength(1);
  });

  it('writes no rows of users who were deleted meanwhile, and those of others', async () => {
    await using database = await openTestDatabase();
    await using history = testHistory(database);
    for (const userId of ['gone', 'ann', 'gone', '']) history.record(record({ userId }));
    await database.transaction((transaction) => markDeleted(database, transaction, 'gone', NOW));
    await history.flush();
    history.record(record({ userId: 'gone' }));
    await history.flush();
    expect((await storedRows(database)).map(({ userId }) => userId)).toEqual(['ann', '']);
    expect([history.faults, history.dropped()]).toEqual([[], 0]);
  });

  it.skipIf(noPostgres)("writes others' rows while a user is being deleted", async () => {
    await using database = await openTestDatabase('postgres');
    await using history = testHistory(database);
    for (const userId of ['gone', 'ann', '']) history.record(record({ userId }));
    await database.transaction(async (transaction) => {
      await markDeleted(database, transaction, 'gone', NOW);
      await history.flush();
      expect((await storedRows(database)).map(({ userId }) => userId)).toEqual(['ann', '']);
    });
    expect([history.faults, history.dropped()]).toEqual([[], 0]);
  });

  it('drops the newest of more than 20,000 rows, counts them, and logs it once', async () => {
    await using database = await openTestDatabase();
    const flaky = unsteady(database);
    await using history = testHistory(flaky, {}, { batchMs: 1, firstPauseMs: 3_600_000 });
    flaky.state.fault = away();
    for (let index = 0; index < 20_500; index++) history.record(record({ callId: String(index) }));
    await history.flush();
    expect(history.dropped()).toBe(500);
    const overflows = history.faults.filter((fault) => String(fault).includes('some leave no row'));
    expect(overflows).toHaveLength(1);
    flaky.state.fault = undefined;
    await history.flush();
    const ids = await callIds(database);
    expect([ids.length, ids[0], ids.at(-1)]).toEqual([20_000, '0', '19999']);
  });

  it("drops rows of whoever has most: nobody's flood washes out those of others, nor earlier ones", async () => {
    await using database = await openTestDatabase();
    const flaky = unsteady(database);
    await using history = testHistory(flaky, {}, { batchMs: 1, firstPauseMs: 3_600_000 });
    flaky.state.fault = away();
    history.record(record({ userId: 'greedy', callId: 'evil' }));
    history.record(record({ userId: 'ann', callId: 'before' }));
    for (let index = 0; index < 24_000; index++) {
      history.record(record({ userId: 'greedy', callId: 'flood' }));
      if (index === 22_000) history.record(record({ userId: 'ann', callId: 'during' }));
    }
    for (let index = 0; index < 100; index++) history.record(record({ userId: 'bob', callId: 'after' }));
    await history.flush();
    flaky.state.fault = undefined;
    await history.flush();
    const rows = await storedRows(database);
    expect(rows).toHaveLength(20_000);
    const of = (callId: string) => rows.filter((row) => row.callId === callId).length;
    expect([of('evil'), of('before'), of('during'), of('after')]).toEqual([1, 1, 1, 100]);
    expect(history.dropped()).toBe(24_103 - 20_000);
  });

  it('logs a flood once, though the database takes what it can', async () => {
    await using database = await openTestDatabase();
    await using history = testHistory(database, {}, { closeMs: 1 });
    for (let index = 0; index < 20_000; index++) history.record(record());
    for (let turn = 0; turn < 5; turn++) {
      for (let index = 0; index < 1000; index++) history.record(record());
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(history.dropped()).toBeGreaterThan(1000);
    expect(history.faults).toHaveLength(1);
  });

  it('drops large payloads, not small ones, where they are too many', async () => {
    await using database = await openTestDatabase();
    const flaky = unsteady(database);
    await using history = testHistory(flaky, { payloads: true }, { firstPauseMs: 3_600_000, closeMs: 1 });
    flaky.state.fault = away();
    const output = 'x'.repeat(64 * 1024);
    for (let index = 0; index < 700; index++) history.record(record({ userId: 'many', output: '1' }));
    for (let index = 0; index < 600; index++) history.record(record({ userId: 'large', output }));
    const { length } = JSON.stringify(record().arguments);
    const left = 32 * 1024 * 1024 - 700 * (1 + length);
    expect(history.dropped()).toBe(600 - Math.floor(left / (output.length + length)));
  });

  it('bounds the payloads that wait', async () => {
    await using database = await openTestDatabase();
    const flaky = unsteady(database);
    await using history = testHistory(flaky, { payloads: true }, { closeMs: 1 });
    flaky.state.fault = away();
    const output = 'x'.repeat(64 * 1024);
    for (let index = 0; index < 1000; index++) history.record(record({ output }));
    const { length } = JSON.stringify(record().arguments);
    expect(1000 - history.dropped()).toBe(Math.floor((32 * 1024 * 1024) / (output.length + length)));
  });

  it('closes in bounded time when the database hangs, and tells what is lost', async () => {
    await using database = await openTestDatabase();
    let hang = false;
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const hanging: Database = {
      ...database,
      async transaction(work) {
        if (hang) await released;
        return database.transaction(work);
      },
    };
    const history = testHistory(hanging, {}, { closeMs: 20 });
    await history.flush();
    hang = true;
    for (let index = 0; index < 300; index++) history.record(record());
    await history.close();
    // One transaction's worth is on its way.
    expect(history.dropped()).toBe(50);
    expect(history.faults.map(String)).toEqual([expect.stringContaining('50 executions')]);
    release();
  });
});

describe('strangers in the history', () => {
  const odd: [string, Partial<ExecutionRecord>, Partial<Record<'toolName' | 'callId', unknown>>][] = [
    ['a very long name', { toolName: 'x'.repeat(100_000) }, { toolName: `${'x'.repeat(255)}…` }],
    ['an emoji cut in half', { toolName: `${'x'.repeat(254)}😀😀` }, { toolName: `${'x'.repeat(254)}…` }],
    ['NUL', { callId: 'a\0b' }, { callId: 'a\uFFFDb' }],
    ['a lone surrogate', { callId: 'a\uD800b' }, { callId: 'a\uFFFDb' }],
    ['SQL', { toolName: `'); drop table executions; --` }, { toolName: `'); drop table executions; --` }],
    ['nothing', { toolName: '', callId: '' }, { toolName: '', callId: '' }],
  ];
  it.each(odd)('are stored within bounds: %s', async (_name, given, expected) => {
    await using database = await openTestDatabase();
    await using history = testHistory(database);
    history.record(record(given));
    await history.flush();
    expect((await listed(database)).executions).toMatchObject([expected]);
    expect(history.faults).toEqual([]);
  });

  it('may nest arguments as deeply as they like', async () => {
    await using database = await openTestDatabase();
    await using history = testHistory(database, { payloads: true });
    const depth = 200_000;
    const deep = JSON.parse(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`) as JsonObject;
    history.record(record({ arguments: deep, errorCode: 'invalid_arguments' }));
    await history.flush();
    expect((await listed(database)).executions).toMatchObject([{ arguments: null, argumentBytes: 0 }]);
  });
});

describe('payloads in the history', () => {
  const secret = 'a-word-that-only-the-payload-has';

  it('are kept encrypted, bound to their row, and shown to their user', async () => {
    await using database = await openTestDatabase();
    await using history = testHistory(database, { payloads: true });
    const call = record({ arguments: { secret, odd: '\0\uD800' }, output: JSON.stringify(secret) });
    history.record(call);
    await history.flush();
    const [row] = await storedRows(database);
    expect(row?.arguments).toMatch(/^v1\./);
    expect((await listed(database)).executions).toMatchObject([
      { arguments: JSON.stringify(call.arguments), output: call.output },
    ]);
    expect(() => testEncryption.decrypt(row?.output ?? '', 'another row')).toThrow();
    expect(() => testEncryption.decrypt(row?.output ?? '', `${row?.id}/arguments`)).toThrow();
  });

  it('are in no file of the database', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tool-service-'));
    const database = openSqlite(join(folder, 'tools.db'));
    try {
      await using history = testHistory(database, { payloads: true });
      history.record(record({ callId: 'a-visible-id', arguments: { secret }, output: secret }));
      await history.flush();
      const bytes = Buffer.concat(readdirSync(folder).map((name) => readFileSync(join(folder, name))));
      expect(bytes.includes('a-visible-id')).toBe(true);
      expect(bytes.includes(secret)).toBe(false);
    } finally {
      await database.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('are kept up to 64 KiB each', async () => {
    await using database = await openTestDatabase();
    await using history = testHistory(database, { payloads: true });
    const output = 'ü'.repeat(32 * 1024);
    history.record(record({ callId: 'fits', output }));
    history.record(record({ callId: 'too long', output: `${output}.`, arguments: { a: output } }));
    await history.flush();
    expect((await listed(database)).executions).toMatchObject([
      { callId: 'too long', output: null, arguments: null, outputBytes: 65_537, argumentBytes: 65_544 },
      { callId: 'fits', output },
    ]);
  });

  it('that no key opens any more leave the rest of the row readable', async () => {
    await using database = await openTestDatabase();
    await using history = testHistory(database, { payloads: true });
    history.record(record());
    await history.flush();
    const encryption = createEncryption([Buffer.alloc(32, 8)]);
    const { executions } = await listExecutions({ database, encryption }, ALICE, {});
    expect(executions).toMatchObject([{ callId: 'call-1', arguments: null, output: null }]);
  });
});

describe('retention', () => {
  it('removes what is older when the service starts, and nothing else', async () => {
    await using database = await openTestDatabase();
    const limit = NOW - 30 * DAY_MS;
    {
      await using history = testHistory(database, { now: () => limit });
      for (let index = 0; index < 1050; index++) {
        history.record(record({ userId: randomUUID(), startedAt: limit - 1 - (index % 7) }));
      }
      history.record(record({ startedAt: limit }));
      history.record(record({ startedAt: NOW }));
    }
    expect(await storedRows(database)).toHaveLength(1052);
    await using history = testHistory(database);
    await vi.waitFor(async () => expect(await storedRows(database)).toHaveLength(2), { timeout: 5000 });
    expect((await storedRows(database)).map(({ startedAt }) => startedAt)).toEqual([limit, NOW]);
    expect(history.faults).toEqual([]);
  });

  it('goes on every hour, and logs what it cannot do', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      await using database = await openTestDatabase();
      const flaky = unsteady(database);
      const fault = away();
      flaky.state.fault = fault;
      let time = NOW;
      await using history = testHistory(flaky, { now: () => time });
      await vi.waitFor(() => expect(history.faults).toEqual([fault]));
      flaky.state.fault = undefined;
      history.record(record());
      await history.flush();
      time += 31 * DAY_MS;
      vi.advanceTimersByTime(3_600_000);
      await vi.waitFor(async () => expect(await storedRows(database)).toEqual([]));
      expect(history.faults).toEqual([fault]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('ends when the history closes, however much is left', async () => {
    await using database = await openTestDatabase();
    {
      await using history = testHistory(database, { now: () => 0, retentionMs: 0 });
      for (let index = 0; index < 3000; index++) history.record(record({ startedAt: 1 }));
    }
    const history = testHistory(database);
    await history.close();
    const { length } = await storedRows(database);
    expect(length).toBeGreaterThan(0);
    expect(history.faults).toEqual([]);
  });
});

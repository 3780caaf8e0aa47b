import { randomUUID } from 'node:crypto';
import { sql } from 'drizzle-orm';
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3';
import { describe, expect, it } from 'vitest';
import type { Caller } from '../caller.ts';
import type { Database } from '../db/database.ts';
import { defaultEngine, openTestDatabase } from '../testing/test-database.ts';
import { ALICE, BOB, testToolsContext, webhookInput } from '../testing/tools-context.ts';
import { createTool } from '../tools/create-tool.ts';
import { deleteTool } from '../tools/delete-tool.ts';
import type { ExecutionRecord } from './execution-record.ts';
import { draftRow, sealRow } from './execution-row.ts';
import { NOW, record, testEncryption } from './history-for-tests.ts';
import { insertExecutions } from './history-store.ts';
import { type ExecutionQuery, listExecutions } from './list-executions.ts';

const store = (database: Database, records: readonly ExecutionRecord[], payloads = false) =>
  database.transaction((transaction) =>
    insertExecutions(
      database,
      transaction,
      records.map((call) => sealRow(draftRow(call, payloads), testEncryption)),
    ),
  );

const list = (database: Database, query: ExecutionQuery = {}, caller: Caller = ALICE) =>
  listExecutions({ database, encryption: testEncryption }, caller, query);

const idsOf = async (database: Database, query: ExecutionQuery = {}, caller: Caller = ALICE) =>
  (await list(database, query, caller)).executions.map(({ callId }) => callId);

/** Every page of a list. */
async function pages(database: Database, query: ExecutionQuery): Promise<string[][]> {
  const all: string[][] = [];
  let cursor: string | undefined;
  do {
    const page = await list(database, { ...query, cursor });
    all.push(page.executions.map(({ callId }) => callId));
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return all;
}

/** So many calls, a second apart, called by their number. */
const series = (count: number, overrides: (index: number) => Partial<ExecutionRecord> = () => ({})) =>
  Array.from({ length: count }, (_, index) =>
    record({ callId: String(index), startedAt: NOW + index * 1000, ...overrides(index) }),
  );

describe('listExecutions', () => {
  it("lists the caller's own, newest first, and nobody else's", async () => {
    await using database = await openTestDatabase();
    const { userId } = BOB;
    await store(database, [
      ...series(3),
      record({ callId: 'bob', userId: userId ?? '', startedAt: NOW + 500 }),
      record({ callId: 'nobody', userId: '' }),
    ]);
    expect(await idsOf(database)).toEqual(['2', '1', '0']);
    expect(await idsOf(database, {}, BOB)).toEqual(['bob']);
    expect(await idsOf(database, {}, { ...BOB, isStaff: true } as Caller)).toEqual(['bob']);
    const service: Caller = { kind: 'service', name: 'nodes', userId };
    expect(await idsOf(database, {}, service)).toEqual(['bob']);
    for (const nobody of [{ ...service, userId: null }, { kind: 'trusted-network', userId: null } as const]) {
      await expect(list(database, {}, nobody)).rejects.toMatchObject({ code: 'invalid_argument' });
    }
  });

  it('gives 100 where no limit is given, and pages of any size without gap or repeat', async () => {
    await using database = await openTestDatabase();
    await store(
      database,
      series(250, (index) => ({ startedAt: NOW + Math.floor(index / 40) })),
    );
    const expected = Array.from({ length: 250 }, (_, index) => String(249 - index));
    expect((await pages(database, {})).map(({ length }) => length)).toEqual([100, 100, 50]);
    for (const limit of [1, 7, 50, 125, 249, 250, 251, 1000]) {
      const all = await pages(database, { limit });
      expect(all.flat()).toEqual(expected);
      expect(all).toHaveLength(Math.ceil(250 / limit));
    }
    for (const status of ['success', 'error'] as const) {
      expect((await pages(database, { limit: 60, status })).flat()).toEqual(
        status === 'success' ? expected : [],
      );
    }
  });

  it('keeps its place while new rows come', async () => {
    await using database = await openTestDatabase();
    await store(database, series(20));
    const first = await list(database, { limit: 10 });
    await store(
      database,
      series(5, (index) => ({ callId: `new ${index}`, startedAt: NOW + 60_000 + index })),
    );
    const second = await list(database, { limit: 10, cursor: first.nextCursor });
    const seen = [...first.executions, ...second.executions].map(({ callId }) => callId);
    expect(seen).toEqual(Array.from({ length: 20 }, (_, index) => String(19 - index)));
    expect(second.nextCursor).toBeUndefined();
  });

  it.each<[ExecutionQuery, string[]]>([
    [{ after: new Date(NOW + 2000) }, ['4', '3', '2']],
    [{ before: new Date(NOW + 2000) }, ['1', '0']],
    [{ after: new Date(NOW + 1000), before: new Date(NOW + 3000) }, ['2', '1']],
    [{ after: new Date(NOW + 3000), before: new Date(NOW + 1000) }, []],
    [{ after: new Date(-8.64e15), before: new Date(8.64e15) }, ['4', '3', '2', '1', '0']],
    [{ before: new Date(-8.64e15) }, []],
    [{ status: 'error' }, ['3', '1']],
    [{ status: 'success', after: new Date(NOW + 1000) }, ['4', '2']],
    [{ status: 'error', before: new Date(NOW + 3000) }, ['1']],
  ])('filters by time and status: %o', async (query, expected) => {
    await using database = await openTestDatabase();
    await store(
      database,
      series(5, (index) => ({ errorCode: index % 2 === 1 ? 'timeout' : null })),
    );
    expect(await idsOf(database, query)).toEqual(expected);
  });

  it('filters by tool: its id in any spelling, or a name that the caller may use', async () => {
    await using database = await openTestDatabase();
    const tools = testToolsContext(database);
    const own = await createTool(tools, ALICE, webhookInput('shared'));
    const odd = await createTool(tools, ALICE, webhookInput('odd name'));
    const foreign = await createTool(tools, BOB, webhookInput('shared'));
    const hidden = await createTool(tools, BOB, webhookInput('of_bob'));
    await store(database, [
      record({ callId: 'own', toolId: own.id }),
      record({ callId: 'odd', toolId: odd.id }),
      record({ callId: 'foreign', toolId: foreign.id, userId: BOB.userId ?? '' }),
      record({ callId: 'hidden', toolId: hidden.id, userId: BOB.userId ?? '' }),
      record({ callId: 'none', toolId: '', toolName: 'of_bob' }),
    ]);
    for (const tool of [own.id, own.id.toUpperCase(), own.id.replaceAll('-', ''), `{${own.id}}`, 'shared']) {
      expect(await idsOf(database, { tool })).toEqual(['own']);
    }
    expect(await idsOf(database, { tool: 'odd name', status: 'success' })).toEqual(['odd']);
    expect(await idsOf(database, { tool: 'odd_name' })).toEqual(['odd']);
    for (const tool of [hidden.id, foreign.id, randomUUID(), 'of_bob', 'unknown', '', '__proto__', 'a\0']) {
      expect(await list(database, { tool })).toEqual({ executions: [], nextCursor: undefined });
    }
    await deleteTool(tools, ALICE, own.id, undefined);
    expect(await idsOf(database, { tool: own.id })).toEqual(['own']);
    expect(await idsOf(database, { tool: 'shared' })).toEqual([]);
  });

  it.each([0, -1, 1.5, 1001, Number.NaN])('refuses a limit of %s', async (limit) => {
    await using database = await openTestDatabase();
    await expect(list(database, { limit })).rejects.toMatchObject({
      code: 'invalid_argument',
      fields: { limit: ['must be a whole number from 1 to 1000.'] },
    });
  });

  it("refuses a cursor that is not its own, and finds nothing of another's by one", async () => {
    await using database = await openTestDatabase();
    await store(database, [
      ...series(3),
      ...series(3, (index) => ({
        userId: BOB.userId ?? '',
        callId: `bob ${index}`,
        startedAt: NOW + index * 1000 + 1,
      })),
    ]);
    const { nextCursor = '' } = await list(database, { limit: 1 }, BOB);
    for (const cursor of [
      '',
      'x',
      `${nextCursor}A`,
      ` ${nextCursor}`,
      `${nextCursor}=`,
      nextCursor.slice(1),
      nextCursor.slice(0, -1),
      Buffer.from('["o","name"]').toString('base64url'),
      Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url'),
      'x'.repeat(100_000),
    ]) {
      await expect(list(database, { cursor })).rejects.toMatchObject({
        code: 'invalid_argument',
        fields: { cursor: ['is not one that this service gave out.'] },
      });
    }
    // A place is no secret: rows are the caller's whatever the cursor.
    expect(await idsOf(database, { cursor: nextCursor })).toEqual(['2', '1', '0']);
  });

  it('looks at no more than 20,000 rows for one request, and goes on from there', async () => {
    await using database = await openTestDatabase();
    const few = new Set([3, 29_500, 30_000, 49_990]);
    const rows = series(50_000, (index) => ({
      startedAt: NOW + Math.floor(index / 3),
      errorCode: few.has(index) ? 'timeout' : null,
    }));
    for (let from = 0; from < rows.length; from += 5000) await store(database, rows.slice(from, from + 5000));
    const watched = watchReads(database);
    // With the tool by one index, without it by the other.
    for (const tool of [record().toolId, undefined]) {
      const found: string[][] = [];
      for (let cursor: string | undefined, isLast = false; !isLast; ) {
        watched.reads.length = 0;
        const page = await list(watched.database, { status: 'error', tool, cursor });
        // An edge and a read for each of twenty slices.
        expect(watched.reads.length).toBeLessThanOrEqual(40);
        found.push(page.executions.map(({ callId }) => callId));
        cursor = page.nextCursor;
        isLast = cursor === undefined;
      }
      expect(found).toEqual([['49990', '30000'], ['29500'], ['3']]);
    }
  });

  // For PostgreSQL, src/db/postgres/plans.test.ts has the same.
  it.runIf(defaultEngine === 'sqlite')(
    'finds what it looks for by an index, whatever the filters',
    async () => {
      await using database = await openTestDatabase();
      await store(database, series(1));
      const watched = watchReads(database);
      const tool = record().toolId;
      for (const query of [{}, { tool }, { status: 'error' }, { tool, status: 'error' }] as const) {
        await list(watched.database, query);
      }
      const plans = [...new Set(watched.reads)].map((text) => planOf(database, text));
      expect(plans).toEqual([
        'SEARCH executions USING INDEX executions_user (user_id=? AND id>? AND id<?)',
        'SEARCH executions USING INDEX executions_user_tool (user_id=? AND (tool_id,id)>(?,?) AND (tool_id,id)<(?,?))',
        'SEARCH executions USING COVERING INDEX executions_user (user_id=? AND id>? AND id<?)',
        'SEARCH executions USING COVERING INDEX executions_user_tool (user_id=? AND (tool_id,id)>(?,?) AND (tool_id,id)<(?,?))',
      ]);
    },
  );

  it('keeps of texts and numbers what can be stored', async () => {
    await using database = await openTestDatabase();
    const odd = { durationMs: Number.NaN, attempts: 2 ** 40, startedAt: NOW + 0.5 };
    await store(database, [
      record({ ...odd, toolName: 'a\0b\ud800', callId: '\udfff', requestId: '\0'.repeat(300) }),
      record({ durationMs: -1.5, attempts: Number.POSITIVE_INFINITY, startedAt: NOW + 1 }),
    ]);
    const { executions } = await list(database);
    expect(executions.map(({ durationMs, attempts }) => [durationMs, attempts])).toEqual([
      [0, 2 ** 31 - 1],
      [0, 2 ** 31 - 1],
    ]);
    expect(executions[1]).toMatchObject({
      toolName: 'a\ufffdb\ufffd',
      callId: '\ufffd',
      requestId: `${'\ufffd'.repeat(255)}…`,
      startedAt: new Date(NOW),
    });
  });

  it('ends a page early where payloads make it large', async () => {
    await using database = await openTestDatabase();
    const output = 'x'.repeat(60_000);
    await store(
      database,
      series(100, () => ({ output })),
      true,
    );
    const all = await pages(database, { limit: 1000 });
    expect(all.map(({ length }) => length)).toEqual([35, 35, 30]);
    expect(all.flat()).toHaveLength(new Set(all.flat()).size);
  });
});

/** A database that notes the SQL of each query of the history that runs. */
function watchReads(database: Database) {
  const reads: string[] = [];
  const prepare: Database['prepare'] = (handle, name, query) => {
    const run = database.prepare(handle, name, query);
    const { sql: text } = query.toSQL();
    return (values) => {
      if (text.includes('"executions"')) reads.push(text);
      return run(values);
    };
  };
  // Queries are kept by the handle: with another object they are prepared here.
  return { reads, database: { ...database, prepare, read: new Proxy(database.read, {}) } };
}

/** How SQLite would run a query. */
function planOf({ read }: Database, text: string): string {
  const sqlite = read as unknown as BetterSQLite3Database;
  const steps = sqlite.all<{ detail: string }>(sql.raw(`explain query plan ${text.replaceAll('?', "'x'")}`));
  return steps.map(({ detail }) => detail).join('; ');
}

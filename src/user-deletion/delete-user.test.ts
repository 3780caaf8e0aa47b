import { getTableColumns, getTableName, sql } from 'drizzle-orm';
import type { PgTable } from 'drizzle-orm/pg-core';
import { describe, expect, it } from 'vitest';
import type { Database } from '../db/database.ts';
import { ServiceError } from '../errors.ts';
import {
  keyedCall,
  never,
  success,
  testIdempotency,
} from '../execution/idempotency/idempotency-for-tests.ts';
import { record, testHistory } from '../history/history-for-tests.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { ALICE, BOB, STAFF, testToolsContext, webhookInput } from '../testing/tools-context.ts';
import { createTool } from '../tools/create-tool.ts';
import { deleteTool } from '../tools/delete-tool.ts';
import { importTools } from '../tools/import-tools.ts';
import { updateTool } from '../tools/update-tool.ts';
import { isDeletedUser } from '../users/deleted-users-store.ts';
import { deleteUser } from './delete-user.ts';
import {
  deletionContext,
  engines,
  eventsOf,
  everything,
  findEverywhere,
  furnish,
} from './user-deletion-for-tests.ts';

const alice = ALICE.userId ?? '';
const bob = BOB.userId ?? '';
const merge = { mode: 'merge', expected: undefined } as const;

/** Runs a statement of the engine's own. */
const runRaw = (database: Database, statement: string) =>
  database.transaction(async (transaction) => {
    const handle = transaction as unknown as { run?: (query: unknown) => unknown };
    await (handle.run ? handle.run(sql.raw(statement)) : transaction.execute(sql.raw(statement)));
  });

/** Gives a user so many executions, and keyed runs. */
const fill = (database: Database, userId: string, count: number) =>
  database.transaction(async (transaction) => {
    const { executions, idempotencyKeys } = database.tables;
    const id = (index: number) => String(index).padStart(6, '0');
    const of = <T>(row: (index: number) => T) => Array.from({ length: count }, (_, index) => row(index));
    const shared = { userId, toolId: 'system', argumentsHash: 'hash' };
    const execution = {
      ...shared,
      toolName: 'tool',
      callId: '',
      requestId: '',
      errorCode: null,
      startedAt: 1,
      durationMs: 1,
      attempts: 1,
      argumentBytes: 2,
      outputBytes: 2,
      arguments: null,
      output: null,
    };
    const key = { ...shared, run: 'run', createdAt: 1, leaseUntil: 1, result: null };
    const insert = <T extends PgTable>(table: T, rows: readonly T['$inferSelect'][]) =>
      database.prepareInsert(transaction, `fill_${getTableName(table)}`, table)(rows);
    await insert(
      executions,
      of((index) => ({ ...execution, id: id(index) })),
    );
    await insert(
      idempotencyKeys,
      of((index) => ({ ...key, key: id(index) })),
    );
  });

describe.each(engines)('the deletion of a user on %s', (engine) => {
  it("removes all that is the user's own, and nobody else's", async () => {
    await using database = await openTestDatabase(engine);
    const context = testToolsContext(database);
    await createTool(context, STAFF, { ...webhookInput('system'), is_system_tool: true });
    await furnish(database, BOB);
    const before = await everything(database);
    const toolIds = await furnish(database, ALICE);
    expect(Object.keys(await findEverywhere(database, alice)).sort()).toEqual([
      'executions',
      'idempotencyKeys',
      'tools',
    ]);

    expect(await deleteUser(deletionContext(database), alice)).toEqual({
      isRepeated: false,
      tools: 3,
      executions: 3,
      idempotencyKeys: 3,
    });
    expect(await findEverywhere(database, alice)).toEqual({ deletedUsers: 1, outbox: 1 });
    const { outbox, deletedUsers, ...rest } = await everything(database);
    const { outbox: _, deletedUsers: none, ...restBefore } = before;
    expect(rest).toEqual(restBefore);
    expect([none, deletedUsers]).toEqual([[], [{ userId: alice, deletedAt: expect.any(Number) }]]);
    expect((await eventsOf(database)).slice(-4)).toEqual([
      ...toolIds.map((id) => ['tool.deleted', id]),
      ['user.deleted', alice],
    ]);
    expect([await isDeletedUser(database, alice), await isDeletedUser(database, bob)]).toEqual([true, false]);
  });

  it('confirms for a user who had nothing', async () => {
    await using database = await openTestDatabase(engine);
    const removed = await deleteUser(deletionContext(database), alice);
    expect(removed).toEqual({ isRepeated: false, tools: 0, executions: 0, idempotencyKeys: 0 });
    expect(await eventsOf(database)).toEqual([['user.deleted', alice]]);
  });

  it('writes events of many tools as the event of one is written', async () => {
    await using database = await openTestDatabase(engine);
    const context = testToolsContext(database, { now: deletionContext(database).now });
    for (const name of ['by itself', 'with the user']) await createTool(context, ALICE, webhookInput(name));
    const [first] = await database.read
      .select()
      .from(database.tables.tools)
      .orderBy(database.tables.tools.name);
    await deleteTool(context, ALICE, first?.id ?? '', undefined);
    await deleteUser(deletionContext(database), alice);
    const rows = await database.read.select().from(database.tables.outbox);
    const shapes = rows
      .filter(({ type }) => type === 'tool.deleted')
      .map(({ id, sequence, subject, payload, ...row }) => ({
        ...row,
        id: id.replaceAll(/[0-9a-f]/g, 'x'),
        payload: payload.replace(subject, 'SUBJECT'),
      }));
    expect(shapes).toHaveLength(2);
    expect(shapes[1]).toEqual(shapes[0]);
  });

  it('goes through more rows than a section has, of any size', async () => {
    await using database = await openTestDatabase(engine);
    await furnish(database, BOB);
    await furnish(database, ALICE, { tools: 40, executions: 700, keys: 60 });
    const removed = await deleteUser(deletionContext(database), alice);
    expect(removed).toMatchObject({ tools: 40, executions: 700, idempotencyKeys: 60 });
    expect(await findEverywhere(database, alice)).toEqual({ deletedUsers: 1, outbox: 1 });
    const events = await eventsOf(database);
    const deleted = events.filter(([type]) => type === 'tool.deleted').map(([, id]) => id);
    expect(new Set(deleted).size).toBe(40);
    expect(events.at(-1)).toEqual(['user.deleted', alice]);
  });

  it('lets others write meanwhile, however much the user has', async () => {
    await using database = await openTestDatabase(engine);
    await furnish(database, BOB);
    await furnish(database, ALICE);
    await fill(database, alice, 3000);
    const order: string[] = [];
    const deletion = deleteUser(deletionContext(database), alice).then((removed) => {
      order.push('deletion');
      return removed;
    });
    const context = testToolsContext(database);
    for (let index = 0; index < 5; index++) {
      await createTool(context, BOB, webhookInput(`meanwhile ${index}`));
      order.push('write');
    }
    expect(await deletion).toMatchObject({ tools: 3, executions: 3003, idempotencyKeys: 3003 });
    // In one transaction, it would be over before the first of them on SQLite.
    expect(order.slice(0, 3)).toEqual(['write', 'write', 'write']);
    expect(await findEverywhere(database, alice)).toEqual({ deletedUsers: 1, outbox: 1 });
    expect((await findEverywhere(database, bob)).executions).toBe(3);
  });

  it('goes on where one has ended that failed on the way, of which no tool is gone', async () => {
    await using database = await openTestDatabase(engine);
    await furnish(database, ALICE);
    await fill(database, alice, 2000);
    const before = await everything(database);
    let left = 4;
    const failing: Database = {
      ...database,
      async transaction(work, options) {
        if (left-- === 0) throw new ServiceError('unavailable', 'The database went away.');
        return database.transaction(work, options);
      },
    };
    await expect(deleteUser(deletionContext(failing), alice)).rejects.toMatchObject({ code: 'unavailable' });
    const between = await everything(database);
    expect(between.tools).toEqual(before.tools);
    expect(between.outbox).toEqual(before.outbox);
    expect(between.executions?.length).toBeLessThan(2003);
    expect(await isDeletedUser(database, alice)).toBe(false);
    expect(await deleteUser(deletionContext(database), alice)).toMatchObject({ isRepeated: false, tools: 3 });
    expect(await findEverywhere(database, alice)).toEqual({ deletedUsers: 1, outbox: 1 });
  });

  it('runs one at a time, those of the same user too', async () => {
    await using database = await openTestDatabase(engine);
    const users = Array.from({ length: 6 }, () => crypto.randomUUID());
    let [running, most] = [0, 0];
    const counting: Database = {
      ...database,
      async transaction(work, options) {
        most = Math.max(most, ++running);
        return database.transaction(work, options).finally(() => running--);
      },
    };
    const context = deletionContext(counting);
    const removed = await Promise.all([...users, ...users].map((userId) => deleteUser(context, userId)));
    expect(removed.map(({ isRepeated }) => isRepeated)).toEqual([
      ...users.map(() => false),
      ...users.map(() => true),
    ]);
    expect(most).toBe(1);
  });

  it('does all of it or nothing', async () => {
    await using database = await openTestDatabase(engine);
    await furnish(database, ALICE);
    const before = await everything(database);
    const [forbid, allow] =
      engine === 'sqlite'
        ? [
            `create trigger last before insert on outbox when new.type = 'user.deleted'
             begin select raise(abort, 'not now'); end`,
            'drop trigger last',
          ]
        : [
            `alter table outbox add constraint last check (type <> 'user.deleted')`,
            'alter table outbox drop constraint last',
          ];
    await runRaw(database, forbid);
    await expect(deleteUser(deletionContext(database), alice)).rejects.toThrow();
    expect(await everything(database)).toEqual(before);
    expect(await isDeletedUser(database, alice)).toBe(false);
    await runRaw(database, allow);
    expect(await deleteUser(deletionContext(database), alice)).toMatchObject({ tools: 3, isRepeated: false });
  });

  it('lets nothing be written for the user from then on, whoever asks', async () => {
    await using database = await openTestDatabase(engine);
    const context = testToolsContext(database);
    const [system] = await Promise.all([
      createTool(context, STAFF, { ...webhookInput('system'), is_system_tool: true }),
      furnish(database, STAFF),
    ]);
    const staff = STAFF.userId ?? '';
    await deleteUser(deletionContext(database), staff);
    const before = await everything(database);

    const denied = { code: 'permission_denied' };
    const service = { kind: 'service', name: 'orchestrator', userId: staff } as const;
    const network = { kind: 'trusted-network', userId: staff } as const;
    for (const caller of [STAFF, service, network]) {
      await expect(createTool(context, caller, webhookInput('new'))).rejects.toMatchObject(denied);
    }
    const input = { ...webhookInput('new system'), is_system_tool: true };
    await expect(createTool(context, STAFF, input)).rejects.toMatchObject(denied);
    await expect(updateTool(context, STAFF, system.id, { name: 'x' }, merge)).rejects.toMatchObject(denied);
    await expect(deleteTool(context, STAFF, system.id, undefined)).rejects.toMatchObject(denied);
    const document = [{ name: 'one', description: 'Does.', parameters: { type: 'object' } }];
    const execution = { type: 'webhook', url: 'https://tools.example/hook' };
    await expect(importTools(context, service, document, { execution })).rejects.toMatchObject(denied);

    await using history = testHistory(database);
    for (const userId of [staff, bob, '']) history.record(record({ userId }));
    await history.flush();
    expect(history.faults).toEqual([]);
    await using idempotency = testIdempotency(database);
    let runs = 0;
    const run = async () => {
      runs++;
      return success('1');
    };
    await expect(idempotency.runOnce(keyedCall({ userId: staff }), never, run)).rejects.toMatchObject({
      code: 'permission_denied',
      mayHaveRun: false,
    });
    expect([runs, idempotency.faults]).toEqual([0, []]);

    const { executions, ...after } = await everything(database);
    expect(after).toEqual({ ...before, executions: undefined });
    expect(executions?.map((row) => (row as { userId: string }).userId).sort()).toEqual(['', bob]);
  });

  it('ends the keys of runs that are under way', async () => {
    await using database = await openTestDatabase(engine);
    await using idempotency = testIdempotency(database, { renewMs: 5 });
    const call = keyedCall({ userId: alice });
    const outcome = await idempotency.runOnce(call, never, async () => {
      expect(await deleteUser(deletionContext(database), alice)).toMatchObject({ idempotencyKeys: 1 });
      return success('1');
    });
    expect(outcome).toMatchObject(success('1'));
    await idempotency.close();
    expect(await findEverywhere(database, alice)).toEqual({ deletedUsers: 1, outbox: 1 });
    expect(idempotency.faults).toEqual([]);
  });

  it('lets nothing that is written at the same time be left behind', async () => {
    await using database = await openTestDatabase(engine);
    const context = testToolsContext(database);
    const [rounds, usersAtOnce] = engine === 'sqlite' ? [1, 4] : [10, 4];
    await using history = testHistory(database, {}, { batchMs: 1 });
    await using idempotency = testIdempotency(database);
    let refused = 0;
    const countRefusal = ({ code }: { code?: unknown }) => {
      // The last while the deletion goes on.
      expect(['permission_denied', 'not_found', 'unavailable']).toContain(code);
      refused++;
    };
    const writeAndDelete = async () => {
      const userId = crypto.randomUUID();
      const caller = { kind: 'user', userId, isStaff: false } as const;
      const known = await createTool(context, caller, webhookInput('first'));
      const write = async (index: number) => {
        history.record(record({ userId }));
        const call = keyedCall({ userId, key: String(index) });
        await Promise.all([
          createTool(context, caller, webhookInput(`tool ${index}`)).catch(countRefusal),
          updateTool(context, caller, known.id, { name: `renamed ${index}` }, merge).catch(countRefusal),
          idempotency.runOnce(call, never, async () => success('1')).catch(countRefusal),
        ]);
      };
      const writes = Array.from({ length: 3 }, (_, index) => write(index));
      await Promise.all([...writes, deleteUser(deletionContext(database), userId)]);
      await write(99);
    };
    for (let round = 0; round < rounds; round++) {
      await Promise.all(Array.from({ length: usersAtOnce }, writeAndDelete));
    }
    const users = rounds * usersAtOnce;
    await history.flush();
    await idempotency.close();
    expect([...history.faults, ...idempotency.faults]).toEqual([]);
    // At the least, all that was written after the deletion.
    expect(refused).toBeGreaterThanOrEqual(3 * users);
    const { deletedUsers, outbox, ...left } = await everything(database);
    expect(left).toEqual({ tools: [], executions: [], idempotencyKeys: [], leases: [] });
    expect(deletedUsers).toHaveLength(users);

    // Every tool that was ever there is deleted in the events, last of all; then its user.
    const events = await eventsOf(database);
    const created = events.flatMap(([type, id]) => (type === 'tool.created' ? [id] : []));
    for (const id of created) {
      const ofTool = events.filter(([, subject]) => subject === id).map(([type]) => type);
      expect(ofTool.filter((type) => type === 'tool.deleted')).toEqual(['tool.deleted']);
      expect([ofTool[0], ofTool.at(-1)]).toEqual(['tool.created', 'tool.deleted']);
    }
    expect(events.filter(([type]) => type === 'user.deleted')).toHaveLength(users);
    expect(outbox?.length).toBe(events.length);
  });
});

it('knows every table that has rows of users', async () => {
  await using database = await openTestDatabase('sqlite');
  const withUsers = Object.entries(database.tables).flatMap(([name, table]) =>
    Object.keys(getTableColumns(table)).some((column) => /^(?:userId|ownerId)$/.test(column)) ? [name] : [],
  );
  // Whoever adds one adds it to `placesOf` too.
  expect(withUsers.sort()).toEqual(['deletedUsers', 'executions', 'idempotencyKeys', 'tools']);
});

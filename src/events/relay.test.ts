import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { openTestDatabase } from '../testing/test-database.ts';
import {
  announce,
  created,
  deleted,
  engines,
  fakeBroker,
  insertRows,
  insertTools,
  pendingOf,
  testOutbox,
  until,
  updated,
} from './events-for-tests.ts';
import { takeLease } from './lease-store.ts';

const isEmpty = (database: Parameters<typeof pendingOf>[0]) => async () =>
  (await pendingOf(database)).length === 0;

describe.each(engines)('the relay on %s', (engine) => {
  it('publishes events as the platform knows them', async () => {
    await using database = await openTestDatabase(engine);
    const broker = fakeBroker();
    const [tool, user] = [randomUUID(), randomUUID()];
    await announce(
      database,
      [created(tool), updated(tool), deleted(tool), { type: 'user.deleted', userId: user }],
      1_700_000_000_000,
    );
    await using outbox = testOutbox(database, broker, { now: () => 1_700_000_001_500 });
    await until(isEmpty(database));
    const body = JSON.stringify({ tool_id: tool });
    const timestamp = 1_700_000_000_000;
    expect(broker.received).toEqual([
      ...['tool.created', 'tool.updated', 'tool.deleted'].map((routingKey) => ({
        id: expect.any(String),
        exchange: 'resource_events',
        ...{ routingKey, body, timestamp },
      })),
      {
        id: expect.any(String),
        exchange: 'user_events',
        routingKey: 'resource.for_user.deleted.ToolService',
        body: JSON.stringify({ user_id: user, service_name: 'ToolService' }),
        timestamp,
      },
    ]);
    await until(() => outbox.seconds.length === 4);
    expect(outbox.seconds).toEqual([1.5, 1.5, 1.5, 1.5]);
  });

  it('sends a backlog in its order, in batches, each event once', async () => {
    await using database = await openTestDatabase(engine);
    const broker = fakeBroker();
    const events = Array.from({ length: 450 }, (_, index) => (index % 3 ? updated : deleted)(`${index}`));
    const ids = events.flatMap((event) => (event.type === 'tool.updated' ? [event.toolId] : []));
    await insertTools(database, ids);
    await announce(database, events);
    await using _outbox = testOutbox(database, broker);
    await until(isEmpty(database));
    expect(broker.keys).toEqual(
      events.map((event) => `${event.type} ${(event as { toolId: string }).toolId}`),
    );
    // The first finds out that queues are bound.
    expect(broker.batches.map(({ length }) => length)).toEqual([20, 200, 200, 30]);
  });

  it('sends 10,000 events that have piled up in seconds', async () => {
    await using database = await openTestDatabase(engine);
    const broker = fakeBroker();
    for (let chunk = 0; chunk < 10; chunk++) {
      await insertRows(
        database,
        Array.from({ length: 1000 }, () => ({ type: 'tool.deleted' })),
      );
    }
    const start = performance.now();
    await using outbox = testOutbox(database, broker);
    await until(() => outbox.seconds.length === 10_000);
    // Some 0.5 s on SQLite and 1 s on PostgreSQL.
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(new Set(broker.received.map(({ id }) => id)).size).toBe(10_000);
    expect(broker.received).toHaveLength(10_000);
  });

  it('begins at once when a change commits', async () => {
    await using database = await openTestDatabase(engine);
    const broker = fakeBroker();
    await using outbox = testOutbox(database, broker);
    await sleep(50);
    const latencies: number[] = [];
    for (let index = 0; index < 20; index++) {
      await announce(outbox.database, [deleted(`${index}`)]);
      const start = performance.now();
      await until(() => broker.received.length === index + 1);
      latencies.push(performance.now() - start);
    }
    latencies.sort((one, other) => one - other);
    expect(latencies[10]).toBeLessThan(100);
    await until(isEmpty(database));
    expect(broker.received).toHaveLength(20);
  });

  it('finds what other processes have recorded', async () => {
    await using database = await openTestDatabase(engine);
    const broker = fakeBroker();
    await using _outbox = testOutbox(database, broker, { pollMs: 20 });
    await sleep(30);
    await announce(database, [deleted('by another process')]);
    await until(isEmpty(database));
    expect(broker.keys).toEqual(['tool.deleted by another process']);
  });

  it('shares the work of several without sending anything twice', async () => {
    await using database = await openTestDatabase(engine);
    const brokers = [fakeBroker(), fakeBroker(), fakeBroker()];
    const order: string[] = [];
    for (const broker of brokers) {
      broker.judge = ({ id }) => {
        order.push(id);
        return 'confirmed';
      };
      broker.delay = () => sleep(1);
    }
    const timing = { contendMs: 5, pollMs: 50, batchRows: 10 };
    await using one = testOutbox(database, brokers[0] ?? fakeBroker(), timing);
    await using two = testOutbox(database, brokers[1] ?? fakeBroker(), timing);
    await using three = testOutbox(database, brokers[2] ?? fakeBroker(), timing);
    const write = async (replica: typeof one, name: string) => {
      for (let index = 0; index < 40; index++) {
        await announce(replica.database, [created(`${name}${index}`), deleted(`${name}${index}`)]);
        await sleep(Math.random() * 5);
      }
    };
    await Promise.all([write(one, 'a'), write(two, 'b'), write(three, 'c')]);
    await until(isEmpty(database));
    expect(order).toHaveLength(240);
    expect(new Set(order).size).toBe(240);
    const rows = await database.read
      .select()
      .from(database.tables.outbox)
      .orderBy(database.tables.outbox.sequence);
    const place = new Map(order.map((id, index) => [id, index]));
    for (const row of rows) {
      const earlier = rows.find(
        ({ subject, sequence }) => subject === row.subject && sequence < row.sequence,
      );
      if (earlier) expect(place.get(earlier.id)).toBeLessThan(place.get(row.id) ?? -1);
    }
    const [lease] = await database.read.select().from(database.tables.leases);
    await until(async () => {
      const [row] = await database.read.select().from(database.tables.leases);
      return row?.heldUntil === 0;
    });
    expect(lease?.name).toBe('outbox');
  });

  it('takes over from a holder that has died, whatever its clock said', async () => {
    for (const ahead of [150, 24 * 60 * 60 * 1000]) {
      await using database = await openTestDatabase(engine);
      const broker = fakeBroker();
      await announce(database, [deleted('left')]);
      const dead = { name: 'outbox', holder: 'dead', heldUntil: Date.now() + ahead };
      await database.transaction((transaction) => takeLease(database, transaction, dead, undefined));
      const start = performance.now();
      await using _outbox = testOutbox(database, broker, { leaseMs: 200, contendMs: 5 });
      await until(isEmpty(database));
      expect(performance.now() - start).toBeGreaterThan(100);
      expect(broker.keys).toEqual(['tool.deleted left']);
    }
  });

  it('keeps its lease while a broker takes its time, and loses it to nobody', async () => {
    await using database = await openTestDatabase(engine);
    const [slow, other] = [fakeBroker(), fakeBroker()];
    slow.delay = () => sleep(400);
    await announce(database, [deleted('one')]);
    await using _one = testOutbox(database, slow, { leaseMs: 150, contendMs: 5 });
    await until(() => slow.batches.length === 1);
    await using _two = testOutbox(database, other, { leaseMs: 150, contendMs: 5 });
    await until(isEmpty(database));
    expect([slow.batches.length, other.batches.length]).toEqual([1, 0]);
  });

  it('does not go on when its lease has become another’s, but marks what was sent', async () => {
    await using database = await openTestDatabase(engine);
    const broker = fakeBroker();
    const { leases } = database.tables;
    broker.delay = async () => {
      broker.delay = async () => {};
      await database.transaction((transaction) =>
        transaction.update(leases).set({ holder: 'another', heldUntil: Date.now() + 60_000 }),
      );
      await until(() => broker.batches.length > 1, 200).catch(() => {});
    };
    await announce(database, [deleted('one'), deleted('two')]);
    await using _outbox = testOutbox(database, broker, { batchRows: 1, leaseMs: 90, contendMs: 500 });
    await until(async () => (await pendingOf(database)).length === 1);
    await sleep(30);
    expect(broker.keys).toEqual(['tool.deleted one']);
    const [lease] = await database.read.select().from(leases);
    expect(lease?.holder).toBe('another');
  });

  it('waits while the broker is away, and begins at once when it is back', async () => {
    await using database = await openTestDatabase(engine);
    const broker = fakeBroker();
    broker.isConnected = false;
    await using outbox = testOutbox(database, broker);
    await announce(outbox.database, [deleted('one'), deleted('two')]);
    await sleep(50);
    expect(broker.batches).toEqual([]);
    broker.connect();
    await until(isEmpty(database));
    expect(broker.keys).toEqual(['tool.deleted one', 'tool.deleted two']);
    expect(outbox.lines).toEqual([]);
  });

  it('sends again what was not confirmed, and what follows it of the same tool', async () => {
    await using database = await openTestDatabase(engine);
    const broker = fakeBroker();
    let refusals = 5;
    broker.judge = ({ routingKey, body }) =>
      routingKey === 'tool.created' && body.includes('bad') && refusals-- > 0 ? 'unconfirmed' : 'confirmed';
    await announce(database, [created('bad'), created('good'), deleted('bad'), deleted('good')]);
    await using outbox = testOutbox(database, broker);
    await until(isEmpty(database));
    expect(broker.keys.filter((key) => key.endsWith('good'))).toEqual([
      'tool.created good',
      'tool.deleted good',
    ]);
    expect(broker.keys.filter((key) => key.endsWith('bad')).slice(-2)).toEqual([
      'tool.created bad',
      'tool.deleted bad',
    ]);
    expect(outbox.lines).toEqual(['error: events cannot be published now: trying again']);
  });

  it('leaves events without a queue behind, and sends them in their order once there is one', async () => {
    await using database = await openTestDatabase(engine);
    const broker = fakeBroker();
    const bound = new Set(['tool.deleted']);
    broker.judge = ({ routingKey }) => (bound.has(routingKey) ? 'confirmed' : 'unroutable');
    const events = Array.from({ length: 60 }, (_, index) => [
      created(`${index}`),
      updated(`${index}`),
    ]).flat();
    // Those of others: tools that live, and have been deleted.
    await insertTools(
      database,
      Array.from({ length: 60 }, (_, index) => `${index}`),
    );
    await announce(database, [...events, deleted('a'), deleted('b')]);
    await using outbox = testOutbox(database, broker, { pollMs: 10, firstParkMs: 30, longestParkMs: 60 });
    await until(() => broker.received.length === 2);
    expect(broker.keys).toEqual(['tool.deleted a', 'tool.deleted b']);
    await sleep(150);
    const returned = broker.batches.flat().length - 2;
    // A few at each attempt, not the lot.
    expect(returned).toBeLessThanOrEqual(20 * broker.batches.length);
    expect(await outbox.stats()).toMatchObject({ backlog: 120 });
    for (const type of ['tool.created', 'tool.updated']) bound.add(type);
    await until(isEmpty(database));
    expect(broker.keys.slice(2)).toEqual(
      events.map((event) => `${event.type} ${(event as { toolId: string }).toolId}`),
    );
    expect(outbox.lines.slice().sort()).toEqual(
      ['tool.created', 'tool.updated'].flatMap((type) => [
        `info: ${type}: a queue is bound for these events now`,
        `info: ${type}: no queue is bound for these events: they wait`,
      ]),
    );
  });

  it('says no more of a tool whose deletion was sent while its other events waited for a queue', async () => {
    await using database = await openTestDatabase(engine);
    const broker = fakeBroker();
    const bound = new Set(['tool.deleted']);
    broker.judge = ({ routingKey }) => (bound.has(routingKey) ? 'confirmed' : 'unroutable');
    await insertTools(database, ['lives']);
    const gone = Array.from({ length: 300 }, (_, index) => `${index}`);
    await announce(database, [
      ...gone.flatMap((id) => [created(id), updated(id)]),
      created('lives'),
      updated('lives'),
    ]);
    await announce(database, gone.map(deleted));
    const timing = { pollMs: 10, firstParkMs: 20, longestParkMs: 20 };
    {
      await using _outbox = testOutbox(database, broker, timing);
      await until(() => broker.received.length === 300);
    }
    for (const type of ['tool.created', 'tool.updated']) bound.add(type);
    // Another process, which does not know that queues were missing.
    await using outbox = testOutbox(database, broker, timing);
    await until(isEmpty(database));
    expect(broker.keys.slice(300)).toEqual(['tool.created lives', 'tool.updated lives']);
    await until(() => outbox.seconds.length === 2);
  });

  it('sends events of a tool that is gone in their order as long as its deletion waits', async () => {
    await using database = await openTestDatabase(engine);
    const broker = fakeBroker();
    let isBound = false;
    broker.judge = () => (isBound ? 'confirmed' : 'unroutable');
    // More of each than are read at a time.
    const ids = Array.from({ length: 800 }, (_, index) => `${index}`);
    for (const kind of [created, deleted]) await announce(database, ids.map(kind));
    {
      await using outbox = testOutbox(database, broker);
      await until(() => outbox.lines.length === 2);
    }
    isBound = true;
    await using _outbox = testOutbox(database, broker);
    await until(isEmpty(database));
    expect(broker.keys).toEqual([
      ...ids.map((id) => `tool.created ${id}`),
      ...ids.map((id) => `tool.deleted ${id}`),
    ]);
  });

  it('leaves events of a newer version alone', async () => {
    await using database = await openTestDatabase(engine);
    const broker = fakeBroker();
    const types = ['aaa', 'constructor', 'tool.zapped'];
    await insertRows(database, [...types.map((type) => ({ type })), { type: 'tool.deleted', subject: 'x' }]);
    await using outbox = testOutbox(database, broker, { pollMs: 10 });
    await until(() => outbox.lines.length >= 3);
    expect(broker.keys).toEqual(['tool.deleted x']);
    await sleep(50);
    expect(outbox.lines).toEqual(
      types.map((type) => `warn: ${type}: this version does not know these events: they wait`),
    );
    expect(await outbox.stats()).toMatchObject({ backlog: 3, unroutable: 3 });
  });

  it('survives a database that fails, and says so once', async () => {
    await using database = await openTestDatabase(engine);
    const broker = fakeBroker();
    let isAway = true;
    const failing = {
      ...database,
      transaction: ((...values: Parameters<typeof database.transaction>) =>
        isAway
          ? Promise.reject(new Error('away'))
          : database.transaction(...values)) as typeof database.transaction,
    };
    await announce(database, [deleted('one')]);
    await using outbox = testOutbox(failing, broker, { longestPauseMs: 10 });
    await sleep(150);
    expect(broker.batches).toEqual([]);
    isAway = false;
    await until(isEmpty(database));
    expect(outbox.lines.filter((line) => line.includes('published'))).toEqual([
      'error: events cannot be published now: trying again',
    ]);
  });

  it('ends with the batch under way, marked, and gives the lease back', async () => {
    await using database = await openTestDatabase(engine);
    const broker = fakeBroker();
    broker.delay = () => sleep(50);
    await announce(database, ['one', 'two', 'three'].map(deleted));
    const outbox = testOutbox(database, broker, { batchRows: 1 });
    await until(() => broker.batches.length === 1);
    await Promise.all([outbox.close(), outbox.close()]);
    expect(await pendingOf(database)).toEqual(['tool.deleted two', 'tool.deleted three']);
    const [lease] = await database.read.select().from(database.tables.leases);
    expect(lease?.heldUntil).toBe(0);
  });

  it('does not wait for ever for a broker when it closes', async () => {
    await using database = await openTestDatabase(engine);
    const broker = fakeBroker();
    let answer = () => {};
    broker.delay = () =>
      new Promise<void>((resolve) => {
        answer = resolve;
      });
    await announce(database, [deleted('one')]);
    const outbox = testOutbox(database, broker, { closeMs: 50 });
    await until(() => broker.batches.length === 1);
    const start = performance.now();
    await outbox.close();
    expect(performance.now() - start).toBeLessThan(2000);
    answer();
    await until(isEmpty(database));
  });
});

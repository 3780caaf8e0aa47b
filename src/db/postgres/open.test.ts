import { getEventListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { eq, sql } from 'drizzle-orm';
import { describe, expect, it, vi } from 'vitest';
import { ServiceError } from '../../errors.ts';
import { isMissing } from '../../testing/services.ts';
import { startTcpProxy } from '../../testing/tcp-proxy.ts';
import { makeTestDatabase, runOnServer, type TestPlace } from '../../testing/test-database.ts';
import type { Database, Transaction } from '../database.ts';
import { openPostgres } from './open.ts';

const UNAVAILABLE = { code: 'unavailable', message: 'The database does not answer now. Try again.' };

const insert = (database: Database, transaction: Transaction, name: string) =>
  transaction.insert(database.tables.leases).values({ name, holder: 'test', heldUntil: 0 });

const hold = (database: Database, transaction: Transaction, name: string, holder: string) =>
  transaction.update(database.tables.leases).set({ holder }).where(eq(database.tables.leases.name, name));

const store = (database: Database, name: string) =>
  database.transaction(async (transaction) => {
    await insert(database, transaction, name);
  });

async function namesOf({ read, tables: { leases } }: Database): Promise<string[]> {
  return (await read.select().from(leases).orderBy(leases.name)).map(({ name }) => name);
}

/** A prepared read, as stores have them. */
const reading = (database: Database) => {
  const { leases } = database.tables;
  return database.prepare(database.read, 'leases', database.read.select({ name: leases.name }).from(leases));
};

const elapsed = async (work: () => Promise<unknown>) => {
  const start = performance.now();
  await work();
  return performance.now() - start;
};

interface Opened extends Database, AsyncDisposable {
  readonly place: TestPlace;
}

async function open(options: Parameters<TestPlace['open']>[0] = {}): Promise<Opened> {
  const place = await makeTestDatabase('postgres');
  const database = await place.open(options);
  return {
    ...database,
    place,
    async [Symbol.asyncDispose]() {
      await database.close();
      await place.remove();
    },
  };
}

/** A database behind a proxy that can fail. */
async function openBehindProxy(options: { poolSize?: number; timeoutMs?: number } = {}) {
  const place = await makeTestDatabase('postgres');
  const url = new URL(place.url.dialect === 'postgres' ? place.url.url : '');
  const proxy = await startTcpProxy(Number(url.port || 5432));
  url.host = `127.0.0.1:${proxy.port}`;
  url.password = 'a-secret-word';
  const faults: Error[] = [];
  const logFault = (error: unknown) => faults.push(error as Error);
  const database = await openPostgres({
    poolSize: 4,
    timeoutMs: 1000,
    migrate: true,
    logFault,
    ...options,
    url: url.href,
  });
  return {
    database,
    proxy,
    faults,
    async [Symbol.asyncDispose]() {
      await proxy.setMode('pass');
      await database.close();
      await proxy[Symbol.asyncDispose]();
      await place.remove();
    },
  };
}

const asking = async (work: () => Promise<unknown>) => {
  let outcome: unknown;
  const took = await elapsed(async () => {
    outcome = await work().catch((error: unknown) => error);
  });
  return { outcome, took };
};

describe.skipIf(await isMissing('postgres'))('a PostgreSQL database', () => {
  it('commits what resolves, and rolls back what throws', async () => {
    await using database = await open();
    await store(database, 'kept');
    const failing = database.transaction(async (transaction) => {
      await insert(database, transaction, 'gone');
      throw new Error('on purpose');
    });
    await expect(failing).rejects.toThrow('on purpose');
    expect(await namesOf(database)).toEqual(['kept']);
    await expect(store(database, 'kept')).rejects.toSatisfy(database.isUniqueViolation);
  });

  it('stores nothing, and says so, where a failed statement was passed over', async () => {
    await using database = await open();
    await store(database, 'there');
    const swallowing = database.transaction(async (transaction) => {
      await insert(database, transaction, 'new');
      await insert(database, transaction, 'there').catch(() => {});
    });
    await expect(swallowing).rejects.toThrow('nothing was stored');
    expect(await namesOf(database)).toEqual(['there']);
  });

  it('says no statement and no value in what it throws', async () => {
    await using database = await open();
    await store(database, 'taken');
    const error = await store(database, 'taken').catch((thrown: unknown) => thrown);
    expect(String(error)).not.toMatch(/insert into|params/);
  });

  it('tries again what met another transaction in a deadlock', async () => {
    await using database = await open();
    await Promise.all(['a', 'b'].map((name) => store(database, name)));
    let runs = 0;
    const both = (first: string, second: string, holder: string) =>
      database.transaction(async (transaction) => {
        runs++;
        await hold(database, transaction, first, holder);
        await sleep(100);
        await hold(database, transaction, second, holder);
      });
    await Promise.all([both('a', 'b', 'one'), both('b', 'a', 'two')]);
    expect(runs).toBe(3);
  });

  it('commits without waiting for the disk where that is enough', async () => {
    await using database = await open();
    const settings: unknown[] = [];
    for (const survivesPowerLoss of [false, true]) {
      await database.transaction(
        async (transaction) => {
          const result = await transaction.execute(sql`select current_setting('synchronous_commit') as is`);
          settings.push((result as unknown as { rows: { is: string }[] }).rows[0]?.is);
        },
        { survivesPowerLoss },
      );
    }
    // Those of tests do not wait anyway; the first is set for the transaction alone.
    expect(settings).toEqual(['off', 'off']);
  });

  it('keeps who locks a name exclusively waiting for who has it, until the end of that transaction', async () => {
    await using database = await open();
    await using other = await open();
    const order: string[] = [];
    const work = (name: string, mode: 'shared' | 'exclusive', of = database) =>
      of.transaction(async (transaction) => {
        expect(await of.lock(transaction, ['user', 'zebra', 'user'], mode)).toEqual([]);
        order.push(`${name} in`);
        await sleep(50);
        order.push(`${name} out`);
      });
    for (const mode of ['shared', 'exclusive'] as const) {
      await Promise.all([work('first', mode), sleep(20).then(() => work('second', 'exclusive'))]);
      expect(order).toEqual(['first in', 'first out', 'second in', 'second out']);
      order.length = 0;
    }
    await Promise.all([work('a', 'shared'), work('b', 'shared')]);
    expect(order.slice(0, 2).sort()).toEqual(['a in', 'b in']);
    order.length = 0;
    // Another schema's names are others.
    await Promise.all([work('a', 'exclusive'), work('b', 'exclusive', other)]);
    expect(order.slice(0, 2).sort()).toEqual(['a in', 'b in']);
  });

  it('tells at once which names cannot be locked with others, as somebody has them alone or waits for that', async () => {
    await using database = await open();
    const [names, all] = [
      ['ann', 'bob', "o'hara \\"],
      ['ann', 'eve', "o'hara \\", 'ann'],
    ];
    const share = () => database.transaction((transaction) => database.lock(transaction, all, 'shared'));
    await database.transaction(async (transaction) => {
      await database.lock(transaction, names, 'exclusive');
      expect([...(await share())].sort()).toEqual(['ann', "o'hara \\"]);
    });
    expect(await share()).toEqual([]);
    let waiting: Promise<unknown> | undefined;
    await database.transaction(async (transaction) => {
      await database.lock(transaction, ['ann'], 'shared');
      waiting = database.transaction((exclusive) => database.lock(exclusive, ['ann'], 'exclusive'));
      await vi.waitUntil(async () => (await share()).length > 0, { interval: 5, timeout: 2000 });
      expect(await share()).toEqual(['ann']);
    });
    await waiting;
    expect(await share()).toEqual([]);
  });

  it('runs transactions of the same name one after another, on one connection, and others beside them', async () => {
    await using database = await open({ poolSize: 2 });
    const order: string[] = [];
    const work = (name: string, inTurnOf: string | undefined) =>
      database.transaction(
        async (transaction) => {
          order.push(`${name} in`);
          await transaction.execute(sql`select pg_sleep(0.02)`);
          order.push(`${name} out`);
          if (name === 'b') throw new Error('on purpose');
        },
        { inTurnOf },
      );
    const turns = ['a', 'b', 'c', 'd'].map((name) => work(name, 'ann'));
    const settled = Promise.allSettled(turns);
    await work('other', 'bob');
    await work('nobody', undefined);
    expect((await settled).map(({ status }) => status[0])).toEqual(['f', 'r', 'f', 'f']);
    const ofAnn = ['a', 'b', 'c', 'd'].flatMap((name) => [`${name} in`, `${name} out`]);
    expect(order.filter((step) => ofAnn.includes(step))).toEqual(ofAnn);
    expect(order.indexOf('nobody out')).toBeLessThan(order.indexOf('d out'));
  });

  it('gives up a turn that does not come in time, counted from the asking, or whose caller leaves', async () => {
    await using database = await open({ poolSize: 4, timeoutMs: 300 });
    const leaving = new AbortController();
    const ask = (signal?: AbortSignal) =>
      asking(() => database.transaction(async () => 'done', { inTurnOf: 'ann', signal }));
    await database.transaction(
      async () => {
        const asked = [ask(), ask(leaving.signal), ask()];
        leaving.abort('gone');
        const [late, left] = await Promise.all(asked);
        expect(late?.outcome).toMatchObject(UNAVAILABLE);
        expect(late?.took).toBeGreaterThan(250);
        expect(late?.took).toBeLessThan(700);
        expect(left?.outcome).toBe('gone');
        expect((await ask(leaving.signal)).outcome).toBe('gone');
      },
      { inTurnOf: 'ann' },
    );
    expect((await ask()).outcome).toBe('done');
    expect(getEventListeners(leaving.signal, 'abort')).toEqual([]);
  });

  it('is unavailable when no connection becomes free in time, counted from the asking', async () => {
    await using database = await open({ poolSize: 1, timeoutMs: 300 });
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const holding = database.transaction(() => released);
    const late = [() => store(database, 'late'), () => reading(database)()];
    for (const { outcome, took } of await Promise.all(late.map(asking))) {
      expect(outcome).toMatchObject(UNAVAILABLE);
      expect(took).toBeGreaterThan(250);
      expect(took).toBeLessThan(590);
    }
    release();
    await holding;
    expect(await namesOf(database)).toEqual([]);
  });

  it('stops waiting for a connection when the signal aborts, and the connection is not lost', async () => {
    await using database = await open({ poolSize: 1 });
    const reason = new Error('the caller went away');
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const holding = database.transaction(() => released);
    const controller = new AbortController();
    const neverBegun = async () => {
      throw new Error('begun');
    };
    const waiting = database.transaction(neverBegun, { signal: controller.signal });
    setTimeout(() => controller.abort(reason), 20);
    await expect(waiting).rejects.toBe(reason);
    await expect(database.transaction(neverBegun, { signal: controller.signal })).rejects.toBe(reason);
    release();
    await holding;
    await store(database, 'after');
    expect(await reading(database)()).toEqual([{ name: 'after' }]);
  });

  it('ends a statement that takes too long, and goes on', async () => {
    await using database = await open({ timeoutMs: 300 });
    const sleeping = database.transaction(async (transaction) => {
      await transaction.execute(sql`select pg_sleep(5)`);
    });
    await expect(sleeping).rejects.toMatchObject(UNAVAILABLE);
    await store(database, 'after');
  });

  it('asks again on another connection when an idle one turns out to be broken', async () => {
    await using behind = await openBehindProxy();
    const { database, proxy, faults } = behind;
    const read = reading(database);
    // Several idle connections.
    await Promise.all(Array.from({ length: 4 }, () => read()));
    for (let round = 0; round < 5; round++) {
      proxy.dropConnections();
      // At once, and after the news of their end.
      if (round % 2 === 1) await sleep(20);
      expect(await read()).toHaveLength(round);
      proxy.dropConnections();
      await store(database, `${round}`);
    }
    for (const fault of faults) {
      expect(fault.message).toMatch(/^a connection to the database broke: /);
      expect(JSON.stringify({ ...fault, text: String(fault) })).not.toMatch(/a-secret-word|postgres:/);
    }
  });

  it('is unavailable within its time while the server does not answer, and at once while it is away', async () => {
    await using behind = await openBehindProxy({ timeoutMs: 500 });
    const { database, proxy } = behind;
    const read = reading(database);
    await read();
    for (const mode of ['stall', 'swallow', 'refuse', 'reset'] as const) {
      await proxy.setMode(mode);
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, index) =>
          asking(() => (index % 2 ? read() : store(database, 'lost'))),
        ),
      );
      for (const { outcome, took } of answers) {
        expect(outcome).toBeInstanceOf(ServiceError);
        expect(outcome).toMatchObject(UNAVAILABLE);
        // Half a second more than its time, and some for a busy machine.
        expect(took).toBeLessThan(mode === 'stall' || mode === 'swallow' ? 1500 : 700);
      }
      await expect(sleep(1000).then(() => database.check())).rejects.toBeInstanceOf(Error);
      await proxy.setMode('pass');
      await expect
        .poll(
          () =>
            read().then(
              () => true,
              () => false,
            ),
          { timeout: 5000 },
        )
        .toBe(true);
      await database.check();
    }
  });

  it('is unavailable when the connection breaks within a transaction, whose changes are gone', async () => {
    await using behind = await openBehindProxy();
    const { database, proxy } = behind;
    for (const isLate of [false, true]) {
      const broken = database.transaction(async (transaction) => {
        await insert(database, transaction, 'gone');
        proxy.dropConnections();
        // Where the next statement is the commit, whether it came through would not be known.
        if (!isLate) await insert(database, transaction, 'gone too');
      });
      await expect(broken).rejects.toMatchObject(UNAVAILABLE);
    }
    expect(await reading(database)()).toEqual([]);
  });

  it('is told by the server that it stops: unavailable, and well again by itself', async () => {
    await using database = await open({ poolSize: 1 });
    const killed = database.transaction(async (transaction) => {
      await transaction.execute(sql`select pg_terminate_backend(pg_backend_pid())`);
    });
    await expect(killed).rejects.toMatchObject(UNAVAILABLE);
    await store(database, 'after');
  });

  it('tells of connections that broke unused once for each outage', async () => {
    await using behind = await openBehindProxy();
    const { database, proxy, faults } = behind;
    const read = reading(database);
    for (let outage = 1; outage <= 2; outage++) {
      await Promise.all(Array.from({ length: 4 }, () => read()));
      await proxy.setMode('refuse');
      await expect.poll(() => faults.length).toBe(outage);
      await sleep(50);
      expect(faults).toHaveLength(outage);
      await proxy.setMode('pass');
    }
  });

  it('closes in bounded time, twice, also while the server does not answer', async () => {
    await using behind = await openBehindProxy({ timeoutMs: 5000 });
    const { database, proxy } = behind;
    await reading(database)();
    await proxy.setMode('stall');
    const unanswered = reading(database)().catch((error: unknown) => error);
    await sleep(50);
    expect(await elapsed(() => Promise.all([database.close(), database.close()]))).toBeLessThan(3500);
    expect(await unanswered).toMatchObject(UNAVAILABLE);
    await expect(reading(database)()).rejects.toMatchObject(UNAVAILABLE);
  });

  it('is open but not ready without its migrations, and ready once they are applied', async () => {
    const place = await makeTestDatabase('postgres');
    const name = /search_path%3D(\w+)/.exec(place.url.dialect === 'postgres' ? place.url.url : '')?.[1];
    await runOnServer(`drop schema ${name} cascade; create schema ${name}`);
    const database = await place.open({ migrate: false });
    await expect(database.check()).rejects.toThrow('migrations are not applied');
    await expect(reading(database)()).rejects.toMatchObject(UNAVAILABLE);
    // Five processes that start together.
    const others = await Promise.all(Array.from({ length: 5 }, () => place.open({ poolSize: 1 })));
    await database.check();
    await store(database, 'there');
    const { rows } = (await database.read.execute(
      sql`select count(*)::int as applied, count(distinct created_at)::int as kinds from __drizzle_migrations`,
    )) as unknown as { rows: { applied: number; kinds: number }[] };
    expect(rows[0]?.applied).toBe(rows[0]?.kinds);
    await Promise.all([database, ...others].map((opened) => opened.close()));
    await place.remove();
  });

  it('cannot be opened where there is no server or no such schema', async () => {
    const options = { poolSize: 1, timeoutMs: 500, migrate: true, logFault: () => {} };
    await expect(openPostgres({ ...options, url: 'postgres://root@127.0.0.1:9/test' })).rejects.toMatchObject(
      {
        code: 'ECONNREFUSED',
      },
    );
    const { url } = await makeTestDatabase('postgres');
    const missing = url.dialect === 'postgres' ? url.url.replace(/test_\w+/, 'nowhere') : '';
    await expect(openPostgres({ ...options, url: missing })).rejects.toThrow('no schema');
  });
});

import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import type pg from 'pg';
import { StatedFault } from '../../errors.ts';
import type { Database, Handle, Transaction } from '../database.ts';
import { createCheck } from './check.ts';
import { type ConnectOptions, connectPool } from './connect-pool.ts';
import { isCollision, isConnectionFault, isStale, isUniqueViolation, toServiceError } from './faults.ts';
import { migrate } from './migrate.ts';
import { acquire, type Pool, type PoolClient, type Queryable, timeoutUntil } from './pool.ts';
import * as schema from './schema.ts';
import { prepareInsertion, prepareSelect } from './statements.ts';
import { createTurns } from './turns.ts';

/** How often a transaction is tried that met another one in a deadlock. */
const MAX_ATTEMPTS = 3;

/** How long a rollback may take; the connection is closed then, which does the same. */
const ROLLBACK_MS = 1000;

export interface PostgresOptions extends ConnectOptions {
  /** Whether to bring the database to the current schema. */
  readonly migrate: boolean;
}

/**
 * Connects to a PostgreSQL server. A database without the current schema is opened too where `migrate` is false: `check`
 * tells.
 *
 * A read ends within `timeoutMs` and half a second of its asking. So does the beginning of a transaction, and each of its
 * statements.
 *
 * @throws Error when it cannot be reached or migrated, or does not store UTF-8.
 */
export function openPostgres(options: PostgresOptions): Promise<Database> {
  return openPool(connectPool(options), options);
}

/** Makes a database of a pool, which closes with it. */
export async function openPool(
  pool: Pool,
  { timeoutMs, poolSize, migrate: migrates }: Pick<PostgresOptions, 'migrate' | 'timeoutMs' | 'poolSize'>,
): Promise<Database> {
  try {
    await prepareServer(pool, migrates);
  } catch (error) {
    await pool.end();
    throw error;
  }
  // All that the pool has may have broken, and then there is a new one.
  const maxAttempts = poolSize + 1;
  const check = createCheck((deadline) => readerUntil(pool, deadline, maxAttempts), timeoutMs);
  /** Outside of transactions, each query has a time of its own and may be asked twice. */
  const reader: Queryable = {
    async query(config, values) {
      const reader = readerUntil(pool, performance.now() + timeoutMs, maxAttempts);
      const result = await reader.query(config, values);
      check.sawAnswer();
      return result;
    },
  };
  /** What a handle's queries run on. */
  const runners = new WeakMap<Handle, Queryable>();
  const handles = new WeakMap<PoolClient, Transaction>();
  const handleOf = (client: PoolClient): Transaction => {
    const known = handles.get(client);
    if (known) return known;
    const made = drizzle({ client: client as unknown as pg.PoolClient }) as unknown as Transaction;
    handles.set(client, made);
    runners.set(made, client);
    return made;
  };
  const runnerOf = (handle: Handle) => runners.get(handle) ?? reader;
  const turns = createTurns();

  async function runTransaction<T>(
    work: (transaction: Transaction) => Promise<T>,
    { deadline, signal, survivesPowerLoss }: Omit<BeginOptions, 'maxAttempts'>,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const client = await begin(pool, { deadline, maxAttempts, signal, survivesPowerLoss });
      let isBroken = false;
      try {
        signal?.throwIfAborted();
        const result = await work(handleOf(client));
        await commit(client);
        check.sawAnswer();
        return result;
      } catch (error) {
        // A broken connection is closed, and the server rolls back by itself.
        isBroken = isConnectionFault(error) || !(await rollBack(client));
        const isOver = attempt === MAX_ATTEMPTS || performance.now() >= deadline;
        if (isOver || !isCollision(error)) throw toServiceError(error);
      } finally {
        client.release(isBroken);
      }
    }
  }

  return {
    dialect: 'postgres',
    tables: schema,
    read: drizzle({ client: reader as unknown as pg.Pool }) as unknown as Handle,
    async transaction(work, { signal, survivesPowerLoss = true, inTurnOf } = {}) {
      const options = { deadline: performance.now() + timeoutMs, signal, survivesPowerLoss };
      if (inTurnOf === undefined) return runTransaction(work, options);
      const endTurn = await turns.take(inTurnOf, options.deadline, signal);
      try {
        return await runTransaction(work, options);
      } finally {
        endTurn();
      }
    },
    prepare: (handle, name, query) => prepareSelect(runnerOf(handle), name, query),
    prepareInsert: (handle, name, table) => prepareInsertion(runnerOf(handle), name, table),
    async lock(transaction, names, mode) {
      // Another schema's are other names.
      const key = sql`hashtextextended(current_schema() || ' ' || name, 0)`;
      const each = sql`select distinct name from jsonb_array_elements_text(${JSON.stringify(names)}::jsonb) as name`;
      if (mode === 'exclusive') {
        // In an order that is the same for all, so that two never wait for each other.
        await transaction.execute(sql`
          select pg_advisory_xact_lock(key) from (select ${key} as key from (${each}) as names order by key) as keys`);
        return [];
      }
      const result = await transaction.execute(
        sql`select name from (${each}) as names where not pg_try_advisory_xact_lock_shared(${key})`,
      );
      return (result as unknown as { rows: { name: string }[] }).rows.map(({ name }) => name);
    },
    anyOf: (column, name) =>
      sql`${column} = any (array(select jsonb_array_elements_text(${sql.placeholder(name)}::jsonb)))`,
    isUniqueViolation,
    check: check.run,
    close() {
      check.forget();
      return pool.end();
    },
  };
}

async function prepareServer(pool: Pool, migrates: boolean): Promise<void> {
  const client = await pool.connect();
  try {
    const { rows } = await client.query(
      "select current_setting('server_encoding') as encoding, current_schema() as schema",
    );
    const [server] = rows as { encoding: string; schema: string | null }[];
    if (server?.encoding !== 'UTF8') throw new StatedFault('the database must have the encoding UTF8');
    if (server.schema === null) throw new StatedFault('no schema of the search_path exists');
    if (migrates) await migrate(client);
  } finally {
    client.release();
  }
}

/** Runs statements that change nothing, each on a connection of its own, until a time of `performance.now()`. */
function readerUntil(pool: Pool, deadline: number, maxAttempts: number): Queryable {
  return {
    async query(config, values) {
      const asked = typeof config === 'string' ? { text: config } : config;
      for (let attempt = 1; ; attempt++) {
        const client = await acquire(pool, deadline);
        let isBroken = false;
        try {
          return await client.query({ ...asked, query_timeout: timeoutUntil(deadline) }, values);
        } catch (error) {
          isBroken = isConnectionFault(error);
          const isOver = attempt === maxAttempts || performance.now() >= deadline;
          // An idle connection whose server went away is found out by asking.
          if (isOver || !isStale(error)) throw toServiceError(error);
        } finally {
          client.release(isBroken);
        }
      }
    },
  };
}

interface BeginOptions {
  readonly deadline: number;
  readonly maxAttempts: number;
  readonly signal: AbortSignal | undefined;
  readonly survivesPowerLoss: boolean;
}

/** Begins a transaction, on another connection where one turns out to be broken: nothing has happened yet. */
async function begin(
  pool: Pool,
  { deadline, maxAttempts, signal, survivesPowerLoss }: BeginOptions,
): Promise<PoolClient> {
  const text = survivesPowerLoss ? 'begin' : 'begin; set local synchronous_commit = off';
  for (let attempt = 1; ; attempt++) {
    const client = await acquire(pool, deadline, signal);
    try {
      await client.query({ text, query_timeout: timeoutUntil(deadline) });
      return client;
    } catch (error) {
      client.release(true);
      const isOver = attempt === maxAttempts || performance.now() >= deadline;
      if (isOver || !isStale(error)) throw toServiceError(error);
    }
  }
}

/** Where no answer comes, whether it was committed is not known: that is `unavailable` too. */
async function commit(client: PoolClient): Promise<void> {
  const { command } = await client.query('commit');
  // The server's way of saying that a statement had failed, which `work` must not pass over.
  if (command === 'ROLLBACK') throw new Error('a statement of the transaction failed: nothing was stored');
}

/** @returns whether the connection can be used on. */
async function rollBack(client: PoolClient): Promise<boolean> {
  try {
    await client.query({ text: 'rollback', query_timeout: ROLLBACK_MS });
    return true;
  } catch {
    return false;
  }
}

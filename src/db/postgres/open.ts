import { getTableColumns, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { PgDialect } from 'drizzle-orm/pg-core';
import pg from 'pg';
import { bindersOf } from '../bind-placeholders.ts';
import type { Database, Handle, PreparedQuery, SelectQuery, Transaction } from '../database.ts';
import { isCollision, isConnectionFault, isUniqueViolation, toServiceError } from './faults.ts';
import { findPending, migrate } from './migrate.ts';
import * as schema from './schema.ts';

/** Writes SQL in PostgreSQL's words. */
const writer = new PgDialect();

/** How often a transaction is tried that met another one in a deadlock. */
const MAX_ATTEMPTS = 3;

export interface PostgresOptions {
  readonly url: string;
  /** Connections to the server. */
  readonly poolSize: number;
  /** How long a connection is waited for, and a statement, in milliseconds. */
  readonly timeoutMs: number;
  /** Whether to bring the database to the current schema. */
  readonly migrate: boolean;
  /** Hears of connections that broke while nobody used them. */
  readonly logFault: (error: unknown) => void;
}

/** The part of node-postgres's pool that is used. */
export interface Pool {
  connect(): Promise<PoolClient>;
  query: Query;
  end(): Promise<void>;
}

/** A connection that is nobody else's until it is released; with true, it is closed. */
export interface PoolClient {
  query: Query;
  release(destroy?: boolean): void;
}

// biome-ignore lint/suspicious/noExplicitAny: the driver's own overloads take a text or any of its configurations.
type Query = (query: any, values?: unknown[]) => Promise<{ rows: unknown[] }>;

/**
 * Connects to a PostgreSQL server.
 *
 * @throws Error when it cannot be reached, or its schema is not the current one and `migrate` is false.
 */
export async function openPostgres(options: PostgresOptions): Promise<Database> {
  const { url, poolSize, timeoutMs, logFault } = options;
  const pool = new pg.Pool({
    connectionString: url,
    max: poolSize,
    application_name: 'tool-service',
    keepAlive: true,
    connectionTimeoutMillis: timeoutMs,
    // The server's own limit comes first, since it leaves a connection that can be used on.
    statement_timeout: timeoutMs,
    query_timeout: timeoutMs + 500,
    idle_in_transaction_session_timeout: 2 * timeoutMs,
  });
  pool.on('error', logFault);
  return openPool(pool as Pool, options);
}

/** Makes a database of a pool, which closes with it. */
export async function openPool(pool: Pool, options: Pick<PostgresOptions, 'migrate'>): Promise<Database> {
  try {
    if (options.migrate) await migrateOn(pool);
  } catch (error) {
    await pool.end();
    throw error;
  }
  /** What a handle's queries run on. */
  const runners = new WeakMap<Handle, { query: Query }>();
  const handles = new WeakMap<PoolClient, Transaction>();
  const handleOf = (client: PoolClient): Transaction => {
    const known = handles.get(client);
    if (known) return known;
    const made = drizzle({ client: client as pg.PoolClient }) as unknown as Transaction;
    handles.set(client, made);
    runners.set(made, client);
    return made;
  };
  const read = drizzle({ client: pool as unknown as pg.Pool }) as unknown as Handle;
  runners.set(read, pool);
  let closed: Promise<void> | undefined;

  async function attempt<T>(
    work: (transaction: Transaction) => Promise<T>,
    survivesPowerLoss: boolean,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const client = await pool.connect();
    let isBroken = false;
    try {
      signal?.throwIfAborted();
      await client.query(survivesPowerLoss ? 'begin' : 'begin; set local synchronous_commit = off');
      const result = await work(handleOf(client));
      await client.query('commit');
      return result;
    } catch (error) {
      // A broken connection is closed, and the server rolls back by itself.
      isBroken =
        isConnectionFault(error) ||
        (await client.query('rollback').then(
          () => false,
          () => true,
        ));
      throw error;
    } finally {
      client.release(isBroken);
    }
  }

  return {
    dialect: 'postgres',
    tables: schema,
    read,
    async transaction(work, { signal, survivesPowerLoss = true } = {}) {
      signal?.throwIfAborted();
      for (let count = 1; ; count++) {
        try {
          return await attempt(work, survivesPowerLoss, signal);
        } catch (error) {
          if (!isCollision(error) || count === MAX_ATTEMPTS) throw toServiceError(error);
        }
      }
    },
    prepare: (handle, name, query) => prepareRaw(runners.get(handle) ?? pool, name, query),
    prepareInsert: (transaction, name, table) => {
      const client = runners.get(transaction) ?? pool;
      const columns = Object.entries(getTableColumns(table));
      const list = sql.join(
        columns.map(([, column]) => sql.identifier(column.name)),
        sql`, `,
      );
      const rows = sql`jsonb_populate_recordset(null::${table}, ${sql.placeholder('rows')})`;
      const insert = sql`insert into ${table} (${list}) select ${list} from ${rows} on conflict do nothing`;
      const { sql: text } = writer.sqlToQuery(insert);
      return async (values) => {
        const named = values.map((row) =>
          Object.fromEntries(columns.map(([field, { name }]) => [name, row[field as keyof typeof row]])),
        );
        await client.query({ name, text, values: [JSON.stringify(named)] });
      };
    },
    async lock(transaction, names, mode) {
      const take = sql.raw(mode === 'shared' ? 'pg_advisory_xact_lock_shared' : 'pg_advisory_xact_lock');
      // In an order that is the same for all, so that two never wait for each other.
      await transaction.execute(sql`
        select ${take}(key) from (
          select distinct hashtextextended(name, 0) as key
          from jsonb_array_elements_text(${JSON.stringify(names)}::jsonb) as name order by key
        ) as keys`);
    },
    anyOf: (column, name) =>
      sql`${column} = any (array(select jsonb_array_elements_text(${sql.placeholder(name)}::jsonb)))`,
    isUniqueViolation,
    async check() {
      const pending = await findPending(pool);
      if (pending.length > 0) throw new Error(`${pending.length} migrations are not applied`);
    },
    close() {
      closed ??= pool.end();
      return closed;
    },
  };
}

async function migrateOn(pool: Pool): Promise<void> {
  const client = await pool.connect();
  try {
    await migrate(client);
  } finally {
    client.release(true);
  }
}

/** Texts as they are, and whole numbers, counts among them, as numbers. */
const types = {
  getTypeParser: (type: number) =>
    type === pg.types.builtins.INT8 || type === pg.types.builtins.INT4 ? Number : (text: string) => text,
};

/**
 * Runs a drizzle query on the driver itself, as a prepared statement of its connection: drizzle's own way to the rows
 * takes several times as long.
 */
function prepareRaw<Q extends SelectQuery>(
  runner: { query: Query },
  name: string,
  query: Q,
): PreparedQuery<Q> {
  const { sql: text, params } = query.toSQL();
  const fields = Object.keys(query._.selectedFields);
  const bind = bindersOf(params);
  return async (values = {}) => {
    try {
      const config = { name, text, types, rowMode: 'array', values: bind.map((value) => value(values)) };
      const { rows } = await runner.query(config);
      return (rows as unknown[][]).map((cells) => {
        const row: Record<string, unknown> = {};
        for (let index = 0; index < fields.length; index++) row[fields[index] ?? ''] = cells[index];
        return row;
      });
    } catch (error) {
      throw toServiceError(error);
    }
  };
}

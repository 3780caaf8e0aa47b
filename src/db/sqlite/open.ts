import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { getTableColumns, getTableName, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/better-sqlite3';
import { migrate } from 'drizzle-orm/better-sqlite3/migrator';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { ServiceError } from '../../errors.ts';
import { createMutex } from '../../mutex.ts';
import { packageRoot } from '../../package-root.ts';
import { bindersOf } from '../bind-placeholders.ts';
import type { Database, Handle, PreparedQuery, SelectQuery, Tables, Transaction } from '../database.ts';
import { createBegin } from './begin.ts';
import { type Connection, codeOf, Sqlite, type Statement } from './driver.ts';
import * as schema from './schema.ts';

/**
 * How long a read holds the event loop at most while the file is locked altogether, in milliseconds. In WAL mode that is
 * only while another process recovers it or is the last to leave it: writing does not lock reads out.
 */
const READ_BUSY_TIMEOUT_MS = 100;

/** After what time a transaction that waits for others, of any process, fails, counted from when it was asked for. */
const BUSY_LIMIT_MS = 5000;

/** How often a migration is tried again, and after what pause: another process may be at the same one. */
const MIGRATION_ATTEMPTS = 100;
const MIGRATION_PAUSE_MS = 10;

/** The database cannot take a change now; nothing is wrong with the change. */
const UNAVAILABLE = /^SQLITE_(?:BUSY|FULL|IOERR|READONLY|CANTOPEN)/;

/**
 * Opens a SQLite file, made with its folder where there is none, and brings it to the current schema.
 *
 * Reads have a connection of their own; writes go through a second one, one transaction at a time. better-sqlite3
 * takes no asynchronous transaction, so BEGIN and COMMIT are said here. `synchronous=FULL`: what was acknowledged
 * survives the power going off.
 */
export function openSqlite(
  file: string,
  { busyLimitMs = BUSY_LIMIT_MS, migrate: migrates = true } = {},
): Database {
  mkdirSync(dirname(file), { recursive: true });
  const writer = connect(file);
  if (migrates) migrateOnce(writer);
  const reader = connect(file);
  reader.pragma('query_only = on');
  reader.pragma(`busy_timeout = ${READ_BUSY_TIMEOUT_MS}`);
  // Whoever has to wait for another process sleeps between attempts, not in one.
  writer.pragma('busy_timeout = 0');
  const mutex = createMutex();
  const begin = createBegin(writer, busyLimitMs);
  // The one cast between the engines: stores use only what both have, and await it.
  const transactionHandle = drizzle(writer) as unknown as Transaction;
  const latest = readMigrations().at(-1)?.folderMillis;
  let findLatest: Statement | undefined;

  return {
    dialect: 'sqlite',
    tables: schema as unknown as Tables,
    read: drizzle(reader) as unknown as Handle,
    transaction: (work, { signal, survivesPowerLoss = true } = {}) => {
      const askedAt = performance.now();
      return mutex.run(async () => {
        // Those before it may have taken all of its time, without any other process in the way.
        if (performance.now() - askedAt > busyLimitMs) throw unavailable(new Error('its turn came too late'));
        try {
          // Of the connection, and so of this transaction alone, as there is one at a time.
          if (!survivesPowerLoss) writer.pragma('synchronous = normal');
          await begin(askedAt, signal);
          const result = await work(transactionHandle);
          writer.exec('commit');
          return result;
        } catch (error) {
          if (writer.inTransaction) writer.exec('rollback');
          if (!UNAVAILABLE.test(codeOf(error))) throw error;
          throw unavailable(error);
        } finally {
          if (!survivesPowerLoss) writer.pragma('synchronous = full');
        }
      }, signal);
    },
    prepare: (handle, _name, query) => prepareRaw(handle === transactionHandle ? writer : reader, query),
    prepareInsert: (_transaction, _name, table) => {
      const columns = Object.entries(getTableColumns(table));
      const names = columns.map(([, { name }]) => `"${name}"`);
      const marks = columns.map(() => '?');
      const statement = writer.prepare(
        `insert into "${getTableName(table)}" (${names}) values (${marks}) on conflict do nothing`,
      );
      return async (rows) => {
        for (const row of rows) statement.run(columns.map(([field]) => row[field as keyof typeof row]));
      };
    },
    lock: async () => [],
    anyOf: (column, name) => sql`${column} in (select value from json_each(${sql.placeholder(name)}))`,
    isUniqueViolation: (error) => /^SQLITE_CONSTRAINT_(?:UNIQUE|PRIMARYKEY)$/.test(codeOf(error)),
    check: async () => {
      // Not before it is asked for: where there is no such table, it cannot be made ready.
      findLatest ??= reader
        .prepare('select max(created_at), (select 1 from tools limit 1) from __drizzle_migrations')
        .pluck();
      const applied = findLatest.get();
      if (latest !== undefined && !(Number(applied) >= latest)) throw new Error('migrations are not applied');
    },
    close: () =>
      mutex.run(async () => {
        reader.close();
        writer.close();
      }),
  };
}

function unavailable(cause: unknown): ServiceError {
  return new ServiceError('unavailable', 'The database cannot take changes now. Try again.', { cause });
}

const migrationsFolder = join(packageRoot, 'drizzle', 'sqlite');

/** Oldest first. */
const readMigrations = () => readMigrationFiles({ migrationsFolder });

/**
 * Brings a database to the current schema. Drizzle looks at what is applied before it takes any lock, so processes that
 * start together get into each other's way: whoever does tries again, and finds the work done.
 */
function migrateOnce(connection: Connection): void {
  for (let attempt = 1; ; attempt++) {
    try {
      migrate(drizzle(connection), { migrationsFolder });
      return;
    } catch (error) {
      if (connection.inTransaction) connection.exec('rollback');
      if (attempt === MIGRATION_ATTEMPTS) throw error;
      // Before anything is served: nobody waits for the event loop yet.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, MIGRATION_PAUSE_MS);
    }
  }
}

/**
 * Runs a drizzle query on the driver itself: drizzle's own way to the rows, cell by cell, takes longer than SQLite does
 * to find them.
 */
function prepareRaw<Q extends SelectQuery>(connection: Connection, query: Q): PreparedQuery<Q> {
  const { sql: text, params } = query.toSQL();
  const statement = connection.prepare(text).raw();
  const fields = Object.keys(query._.selectedFields);
  const bind = bindersOf(params);
  return async (values = {}) => {
    const rows = readRows(
      statement,
      bind.map((value) => value(values)),
    );
    return rows.map((cells) => {
      const row: Record<string, unknown> = {};
      for (let index = 0; index < fields.length; index++) row[fields[index] ?? ''] = cells[index];
      return row;
    });
  };
}

function readRows(statement: Statement, values: unknown[]): unknown[][] {
  try {
    return statement.all(values) as unknown[][];
  } catch (error) {
    if (!UNAVAILABLE.test(codeOf(error))) throw error;
    throw new ServiceError('unavailable', 'The database cannot be read now. Try again.', { cause: error });
  }
}

function connect(file: string): Connection {
  const connection = new Sqlite(file, { timeout: BUSY_LIMIT_MS });
  connection.pragma('journal_mode = wal');
  connection.pragma('synchronous = full');
  connection.pragma('foreign_keys = on');
  return connection;
}

import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { is, Placeholder, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/better-sqlite3';
import { migrate } from 'drizzle-orm/better-sqlite3/migrator';
import { packageRoot } from '../../package-root.ts';
import type { Database, Handle, PreparedQuery, SelectQuery, Tables, Transaction } from '../database.ts';
import { type Connection, Sqlite } from './driver.ts';
import { createMutex } from './mutex.ts';
import * as schema from './schema.ts';

/** How long a statement waits for another process's write before it fails, in milliseconds. */
const BUSY_TIMEOUT_MS = 5000;

/**
 * Opens a SQLite file, made with its folder where there is none, and brings it to the current schema.
 *
 * Reads have a connection of their own; writes go through a second one, one transaction at a time. better-sqlite3
 * takes no asynchronous transaction, so BEGIN and COMMIT are said here. `synchronous=FULL`: what was acknowledged
 * survives the power going off.
 */
export function openSqlite(file: string): Database {
  mkdirSync(dirname(file), { recursive: true });
  const writer = connect(file);
  migrate(drizzle(writer), { migrationsFolder: join(packageRoot, 'drizzle', 'sqlite') });
  const reader = connect(file);
  reader.pragma('query_only = on');
  const mutex = createMutex();
  // The one cast between the engines: stores use only what both have, and await it.
  const transactionHandle = drizzle(writer) as unknown as Transaction;
  const alive = reader.prepare('select count(*) from tools where id is null');

  return {
    dialect: 'sqlite',
    tables: schema as unknown as Tables,
    read: drizzle(reader) as unknown as Handle,
    transaction: (work) =>
      mutex.run(async () => {
        writer.exec('begin immediate');
        try {
          const result = await work(transactionHandle);
          writer.exec('commit');
          return result;
        } catch (error) {
          if (writer.inTransaction) writer.exec('rollback');
          throw error;
        }
      }),
    prepare: (handle, _name, query) => prepareRaw(handle === transactionHandle ? writer : reader, query),
    anyOf: (column, name) => sql`${column} in (select value from json_each(${sql.placeholder(name)}))`,
    isUniqueViolation: (error) => {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      return (
        cause instanceof Sqlite.SqliteError &&
        (cause.code === 'SQLITE_CONSTRAINT_UNIQUE' || cause.code === 'SQLITE_CONSTRAINT_PRIMARYKEY')
      );
    },
    check: async () => {
      alive.get();
    },
    close: () =>
      mutex.run(async () => {
        reader.close();
        writer.close();
      }),
  };
}

/**
 * Runs a drizzle query on the driver itself: drizzle's own way to the rows, cell by cell, takes longer than SQLite does
 * to find them.
 */
function prepareRaw<Q extends SelectQuery>(connection: Connection, query: Q): PreparedQuery<Q> {
  const { sql: text, params } = query.toSQL();
  const statement = connection.prepare(text).raw();
  const fields = Object.keys(query._.selectedFields);
  const bind = params.map((param) =>
    is(param, Placeholder) ? (values: Readonly<Record<string, unknown>>) => values[param.name] : () => param,
  );
  return async (values = {}) => {
    const rows = statement.all(bind.map((value) => value(values))) as unknown[][];
    return rows.map((cells) => {
      const row: Record<string, unknown> = {};
      for (let index = 0; index < fields.length; index++) row[fields[index] ?? ''] = cells[index];
      return row;
    });
  };
}

function connect(file: string): Connection {
  const connection = new Sqlite(file, { timeout: BUSY_TIMEOUT_MS });
  connection.pragma('journal_mode = wal');
  connection.pragma('synchronous = full');
  connection.pragma('foreign_keys = on');
  return connection;
}

import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { Database } from '../db/database.ts';
import type { DatabaseUrl } from '../db/open-database.ts';
import { openPool, openPostgres } from '../db/postgres/open.ts';
import { Sqlite } from '../db/sqlite/driver.ts';
import { openSqlite } from '../db/sqlite/open.ts';
import { pglitePool, runOnPglite } from './pglite.ts';
import { isMissing, serviceUrl } from './services.ts';

/** A database of its own for a test, gone when it closes. */
export type TestDatabase = Database & AsyncDisposable;

/** SQLite, a PostgreSQL server, or PostgreSQL within this process. */
export type Engine = 'sqlite' | 'postgres' | 'pglite';

/** The engine that tests run on which do not choose one. */
export const defaultEngine = (process.env.TEST_DATABASE ?? 'sqlite') as Engine;

/** Room for a database. */
export interface TestPlace {
  readonly engine: Engine;
  readonly url: DatabaseUrl;
  /** Opens it; several times, as replicas do. */
  open(options?: Partial<OpenOptions>): Promise<Database>;
  /** Runs SQL that all engines know, past the service. */
  execute(statements: string): Promise<void>;
  /** Call it when all is closed. Idempotent. */
  remove(): Promise<void>;
}

interface OpenOptions {
  readonly migrate: boolean;
  readonly poolSize: number;
  readonly timeoutMs: number;
  readonly logFault: (error: unknown) => void;
}

const OPTIONS: OpenOptions = { migrate: true, poolSize: 4, timeoutMs: 5000, logFault: () => {} };

/** Opens an empty database of the current schema. Close it by scope: `await using`. */
export async function openTestDatabase(engine: Engine = defaultEngine): Promise<TestDatabase> {
  const place = await makeTestDatabase(engine);
  const database = await place.open();
  return {
    ...database,
    async [Symbol.asyncDispose]() {
      await database.close();
      await place.remove();
    },
  };
}

/**
 * Makes room for an empty database: a folder, or a schema of the test server. Where no server answers, PGlite stands in
 * for it.
 */
export async function makeTestDatabase(engine: Engine = defaultEngine): Promise<TestPlace> {
  if (engine === 'sqlite') return makeFile();
  return makeSchema(engine === 'postgres' && (await isMissing('postgres')) ? 'pglite' : engine);
}

function makeFile(): TestPlace {
  const folder = mkdtempSync(join(tmpdir(), 'tool-service-'));
  const file = join(folder, 'tools.db');
  return {
    engine: 'sqlite',
    url: { dialect: 'sqlite', file },
    open: async ({ migrate = true } = {}) => openSqlite(file, { migrate }),
    execute: async (statements) => {
      new Sqlite(file).exec(statements).close();
    },
    remove: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The names of all schemas of a run of tests begin so, and with the time in seconds: whoever finds an old one drops it. */
const SCHEMA_PREFIX = process.env.TEST_SCHEMA_PREFIX ?? `test_${Math.floor(Date.now() / 1000)}_`;

/** Schemas whose test has ended: to empty one takes a fraction of the time that it takes to make one. */
const spare: Record<'postgres' | 'pglite', string[]> = { postgres: [], pglite: [] };

async function makeSchema(engine: 'postgres' | 'pglite'): Promise<TestPlace> {
  const run = engine === 'postgres' ? runOnServer : runOnPglite;
  let schema = spare[engine].pop();
  if (schema === undefined) {
    schema = `${SCHEMA_PREFIX}${randomUUID().slice(0, 8)}`;
    await run(`create schema ${schema}`);
  } else {
    await run(`set search_path = ${schema}; ${EMPTY}`);
  }
  const name = schema;
  let isChanged = false;
  let isRemoved = false;
  const url = engine === 'postgres' ? urlOf(name) : `postgres://pglite/${name}`;
  return {
    engine,
    url: { dialect: 'postgres', url },
    open: (options) =>
      engine === 'postgres'
        ? openPostgres({ ...OPTIONS, ...options, url })
        : openPool(pglitePool(name), { ...OPTIONS, ...options }),
    execute: async (statements) => {
      isChanged ||= /\b(?:create|alter|drop)\b/i.test(statements);
      await run(`set search_path = ${name}; ${statements}`);
    },
    remove: async () => {
      // Once: a spare one goes to one test.
      if (isRemoved) return;
      isRemoved = true;
      if (isChanged) await run(`drop schema ${name} cascade`);
      else spare[engine].push(name);
    },
  };
}

/** Rows go, and the count of events begins anew. */
const EMPTY = `do $$ declare name text; begin
  for name in select tablename from pg_tables where schemaname = current_schema() and tablename not like '\\_\\_%' loop
    execute format('delete from %I', name);
  end loop;
  if to_regclass('outbox_sequence_seq') is not null then perform setval('outbox_sequence_seq', 1, false); end if;
end $$`;

/** The URL of a schema on the test server. What is acknowledged need not survive the machine. */
function urlOf(schema: string): string {
  const url = new URL(serviceUrl('postgres'));
  url.searchParams.set('options', `-c search_path=${schema} -c synchronous_commit=off`);
  return url.href;
}

export async function runOnServer(statements: string): Promise<void> {
  const client = new pg.Client(serviceUrl('postgres'));
  await client.connect();
  try {
    await client.query(`set synchronous_commit = off; ${statements}`);
  } finally {
    await client.end();
  }
}

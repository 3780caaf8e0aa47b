import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { Database } from '../db/database.ts';
import { openPostgres } from '../db/postgres/open.ts';
import { openSqlite } from '../db/sqlite/open.ts';
import { serviceUrl } from './services.ts';

/** A database of its own for a test, gone when it closes. */
export type TestDatabase = Database & AsyncDisposable;

export type Engine = 'sqlite' | 'postgres';

/** The engine that tests run on which do not choose one. */
export const defaultEngine = (process.env.TEST_DATABASE ?? 'sqlite') as Engine;

const POSTGRES_URL = serviceUrl('postgres');

/** Opens an empty database of the current schema. Close it by scope: `await using`. */
export async function openTestDatabase(engine: Engine = defaultEngine): Promise<TestDatabase> {
  const { url, remove } = await makeTestDatabase(engine);
  const database =
    url.dialect === 'sqlite'
      ? openSqlite(url.file)
      : await openPostgres({ url: url.url, poolSize: 4, timeoutMs: 5000, migrate: true, logFault: () => {} });
  return {
    ...database,
    async [Symbol.asyncDispose]() {
      await database.close();
      await remove();
    },
  };
}

/** Makes room for a database, for what opens it by its URL: a folder, or a schema of the test server. */
export async function makeTestDatabase(engine: Engine = defaultEngine) {
  if (engine === 'sqlite') {
    const folder = mkdtempSync(join(tmpdir(), 'tool-service-'));
    return {
      url: { dialect: 'sqlite', file: join(folder, 'tools.db') } as const,
      remove: async () => rmSync(folder, { recursive: true, force: true }),
    };
  }
  const schema = `test_${randomUUID().replaceAll('-', '')}`;
  const url = new URL(POSTGRES_URL);
  url.searchParams.set('options', `-c search_path=${schema}`);
  await runOnServer(`create schema ${schema}`);
  return {
    url: { dialect: 'postgres', url: url.href } as const,
    remove: () => runOnServer(`drop schema ${schema} cascade`),
  };
}

async function runOnServer(statement: string): Promise<void> {
  const client = new pg.Client(POSTGRES_URL);
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

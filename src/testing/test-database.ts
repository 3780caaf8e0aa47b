import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Database } from '../db/database.ts';
import { openSqlite } from '../db/sqlite/open.ts';

/** A database of its own for a test, gone when it closes. */
export type TestDatabase = Database & AsyncDisposable;

/** Opens an empty database of the current schema. Close it by scope: `await using`. */
export function openTestDatabase(): TestDatabase {
  const folder = mkdtempSync(join(tmpdir(), 'tool-service-'));
  const database = openSqlite(join(folder, 'tools.db'));
  return {
    ...database,
    async [Symbol.asyncDispose]() {
      await database.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

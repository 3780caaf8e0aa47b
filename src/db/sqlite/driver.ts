import { createRequire } from 'node:module';
import type BetterSqlite from 'better-sqlite3';

export type Connection = BetterSqlite.Database;
export type Statement = BetterSqlite.Statement;

/**
 * better-sqlite3, in the build that this Node can run: 13 is built on Node-API and asks for Node 22; 12 is the last for
 * Node 20, and ends the process on Node 24.19 and later whenever a statement is collected
 * (https://github.com/nodejs/node/issues/65446). npm installs 13 only where it runs.
 */
export const Sqlite: typeof BetterSqlite = load();

function load(): typeof BetterSqlite {
  const require = createRequire(import.meta.url);
  if (Number.parseInt(process.versions.node, 10) >= 22) {
    try {
      return require('better-sqlite3-napi') as typeof BetterSqlite;
    } catch {
      // Left out of the installation: 12 does up to Node 24.18.
    }
  }
  return require('better-sqlite3') as typeof BetterSqlite;
}

/** SQLite's code of an error, or of what drizzle wrapped. */
export function codeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Sqlite.SqliteError ? cause.code : '';
}

import type { Database } from './database.ts';
import { openSqlite } from './sqlite/open.ts';

/** Which database: a file of SQLite, or a PostgreSQL server. */
export type DatabaseUrl =
  | { readonly dialect: 'sqlite'; readonly file: string }
  | { readonly dialect: 'postgres'; readonly url: string };

export interface DatabaseOptions {
  /** PostgreSQL only: connections to the server. */
  readonly poolSize: number;
  /** PostgreSQL only: how long a connection is waited for, and a statement, in milliseconds. */
  readonly timeoutMs: number;
  /** Whether to bring the database to the current schema; else `check` tells when it has not got it. */
  readonly migrate: boolean;
  /** Hears of faults that no query meets. */
  readonly logFault: (error: unknown) => void;
}

/** Opens a database of either engine. @throws Error when it cannot be opened. */
export async function openDatabase(database: DatabaseUrl, options: DatabaseOptions): Promise<Database> {
  if (database.dialect === 'sqlite') return openSqlite(database.file, options);
  // Only then, as it takes its time.
  const { openPostgres } = await import('./postgres/open.ts');
  return openPostgres({ url: database.url, ...options });
}

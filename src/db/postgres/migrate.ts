import { join } from 'node:path';
import { type MigrationMeta, readMigrationFiles } from 'drizzle-orm/migrator';
import { packageRoot } from '../../package-root.ts';
import type { Queryable } from './pool.ts';

/** Where drizzle-kit expects it, but in the schema of the other tables, so that the service needs the rights to one. */
const APPLIED = '"__drizzle_migrations"';

/** How long a migration may take, the wait for another process's included, in milliseconds. */
const LIMIT_MS = 10 * 60_000;

let files: MigrationMeta[] | undefined;

/** Read once: the check for readiness asks again and again. */
function readMigrations(): MigrationMeta[] {
  files ??= readMigrationFiles({ migrationsFolder: join(packageRoot, 'drizzle', 'postgres') });
  return files;
}

/**
 * Brings a database to the current schema in one transaction. Processes that start together do it one after another
 * (an advisory lock), and all but the first find the work done. The limits of a statement's time are not in force.
 *
 * @returns how many migrations were applied.
 */
export async function migrate(connection: Queryable): Promise<number> {
  const run = (text: string, values: unknown[] = []) =>
    connection.query({ text, query_timeout: LIMIT_MS, ...(values.length > 0 ? { values } : {}) });
  await run(`begin; set local statement_timeout = ${LIMIT_MS}; set local synchronous_commit = on`);
  try {
    await run(`select pg_advisory_xact_lock(hashtextextended(current_schema() || ' migrations', 0))`);
    await run(
      `create table if not exists ${APPLIED} (id serial primary key, hash text not null, created_at bigint)`,
    );
    const pending = await findPending(connection);
    for (const { hash, folderMillis, sql } of pending) {
      // All in one go: a script of statements without values.
      await run(sql.join(';\n'));
      await run(`insert into ${APPLIED} (hash, created_at) values ($1, $2)`, [hash, folderMillis]);
    }
    await run('commit');
    return pending.length;
  } catch (error) {
    await run('rollback').catch(() => {});
    throw error;
  }
}

/** The migrations that a database which has been migrated before does not have yet. */
export async function findPending(connection: Queryable): Promise<MigrationMeta[]> {
  const { rows } = await connection.query(
    `select created_at from ${APPLIED} order by created_at desc limit 1`,
  );
  const [last] = rows as { created_at: string | number }[];
  return readMigrations().filter(({ folderMillis }) => !last || folderMillis > Number(last.created_at));
}

import { join } from 'node:path';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { packageRoot } from '../../package-root.ts';

/** What runs a statement: a connection, or the pool. */
export interface Queryable {
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
}

/** Where drizzle-kit expects it, but in the schema of the other tables, so that the service needs the rights to one. */
const APPLIED = '"__drizzle_migrations"';

const readMigrations = () =>
  readMigrationFiles({ migrationsFolder: join(packageRoot, 'drizzle', 'postgres') });

/**
 * Brings a database to the current schema in one transaction. Processes that start together do it one after another
 * (an advisory lock), and all but the first find the work done.
 */
export async function migrate(connection: Queryable): Promise<void> {
  await connection.query('begin');
  try {
    await connection.query("select pg_advisory_xact_lock(hashtextextended('tool-service migrations', 0))");
    await connection.query(
      `create table if not exists ${APPLIED} (id serial primary key, hash text not null, created_at bigint)`,
    );
    for (const { hash, folderMillis, sql } of await findPending(connection)) {
      for (const statement of sql) await connection.query(statement);
      await connection.query(`insert into ${APPLIED} (hash, created_at) values ($1, $2)`, [
        hash,
        folderMillis,
      ]);
    }
    await connection.query('commit');
  } catch (error) {
    await connection.query('rollback').catch(() => {});
    throw error;
  }
}

/** The migrations that a database which has been migrated before does not have yet. */
export async function findPending(connection: Queryable): Promise<ReturnType<typeof readMigrations>> {
  const { rows } = await connection.query(
    `select created_at from ${APPLIED} order by created_at desc limit 1`,
  );
  const [last] = rows as { created_at: string | number }[];
  return readMigrations().filter(({ folderMillis }) => !last || folderMillis > Number(last.created_at));
}

import { type SQL, sql } from 'drizzle-orm';
import { type Engine, makeTestDatabase } from '../testing/test-database.ts';
import { markDeleted } from '../users/deleted-users-store.ts';

/** Room for the database of a service, in which a test deletes users. Close it by scope, before the service's. */
export async function openDeletedUsers(engine: Engine) {
  const place = await makeTestDatabase(engine);
  const database = await place.open();
  return {
    place,
    delete: (userId: string) =>
      database.transaction((transaction) => markDeleted(database, transaction, userId, Date.now())),
    /** From then on nobody can tell who is deleted. For SQLite. */
    forget: () =>
      database.transaction(async (transaction) => {
        // SQLite's handle under the type of PostgreSQL's, which the stores have.
        (transaction as unknown as { run(query: SQL): void }).run(sql`drop table deleted_users`);
      }),
    async [Symbol.asyncDispose]() {
      await database.close();
      await place.remove();
    },
  };
}

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { getTableColumns } from 'drizzle-orm';
import { Sqlite } from '../src/db/sqlite/driver.ts';
import { openSqlite } from '../src/db/sqlite/open.ts';
import { tools } from '../src/db/sqlite/schema.ts';
import { exampleDefinitions } from './examples.ts';
import type { Owner } from './requests.ts';
import { makeScratchFolder } from './scratch.ts';

/** A database that holds tools, and some of the users that own them, from all over it. */
export interface SeededDatabase {
  readonly file: string;
  readonly owners: readonly Owner[];
}

/** How many of the users make the calls that are measured, at most. */
const MEASURED_OWNERS = 32;

/** Makes a database in which each of `users` users owns ten tools, as the registry would have stored them. */
export async function seedDatabase(users: number): Promise<SeededDatabase> {
  const file = join(makeScratchFolder(), 'tools.db');
  await openSqlite(file).close();

  const connection = new Sqlite(file);
  connection.pragma('synchronous = off');
  const columns = Object.entries(getTableColumns(tools));
  const insert = connection.prepare(
    `insert into tools (${columns.map(([, { name }]) => name).join(', ')})
     values (${columns.map(([key]) => `@${key}`).join(', ')})`,
  );
  const definitions = exampleDefinitions.map((definition) => ({
    name: String(definition.name),
    description: String(definition.description),
    definition: JSON.stringify(definition),
  }));
  const step = Math.max(1, Math.floor(users / MEASURED_OWNERS));
  const owners: Owner[] = [];
  const now = Date.now();
  connection.transaction(() => {
    for (let user = 0; user < users; user++) {
      const userId = randomUUID();
      const toolIds = definitions.map((definition) => {
        const row: typeof tools.$inferSelect = {
          id: randomUUID(),
          ownerId: userId,
          toolType: 'standard',
          builtin: null,
          alias: null,
          pointer: null,
          revision: 1,
          createdAt: now,
          updatedAt: now,
          secrets: null,
          ...definition,
        };
        insert.run(row);
        return row.id;
      });
      if (user % step === 0 && owners.length < MEASURED_OWNERS) owners.push({ userId, toolIds });
    }
  })();
  connection.pragma('wal_checkpoint(truncate)');
  connection.close();
  return { file, owners };
}

import { randomUUID } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { expect, it } from 'vitest';
import { createEncryption } from '../../encryption.ts';
import { listExecutions } from '../../history/list-executions.ts';
import { isMissing } from '../../testing/services.ts';
import { openTestDatabase } from '../../testing/test-database.ts';
import { ALICE } from '../../testing/tools-context.ts';
import * as store from '../../tools/tool-store.ts';
import type { Database } from '../database.ts';

// Statements are planned once, without their values: each must find its rows by an index then, in the order wanted.

it.skipIf(await isMissing('postgres'))('every prepared read of the stores goes by an index', async () => {
  await using database = await openTestDatabase('postgres');
  await fill(database);
  const { texts, watched } = watch(database);
  await readEverything(watched);
  expect(texts.size).toBeGreaterThan(15);
  const plans: Record<string, string[]> = {};
  for (const [name, text] of texts) plans[name] = await planOf(database, name, text);
  const steps = Object.entries(plans).flatMap(([name, lines]) => lines.map((line) => `${name}: ${line}`));
  expect(steps.filter((step) => /Seq Scan|Sort/.test(step))).toEqual([]);
  const indexOf = (name: string) => plans[name]?.join().match(/(?:using|on) (\w+_\w+)/)?.[1];
  expect([
    indexOf('tools_by_ids'),
    indexOf('count_tools_by_ids'),
    indexOf('owned_tool_versions'),
    indexOf('system_tool_versions'),
    indexOf('count_owned_tools'),
    indexOf('executions_of_user'),
    indexOf('executions_of_tool'),
  ]).toEqual([
    'tools_pkey',
    'tools_pkey',
    'tools_owner_name',
    'tools_system_name',
    'tools_owner_name',
    'executions_user',
    'executions_user_tool',
  ]);
});

/** 2000 users of ten tools, some system tools, and their executions. */
async function fill(database: Database): Promise<void> {
  await database.transaction(async (transaction) => {
    await transaction.execute(sql`
      insert into tools (id, owner_id, name, tool_type, revision, created_at, updated_at, description, definition)
      select gen_random_uuid()::text, case when i % 1000 > 0 then md5((i / 10)::text)::uuid::text end, 'tool ' || i,
        'standard', 1, 1, 1, 'description', '{}' from generate_series(1, 20000) as i`);
    await transaction.execute(sql`
      insert into executions select gen_random_uuid()::text, md5((i % 100)::text)::uuid::text,
        md5((i % 1000)::text)::uuid::text, 'n', 'c', 'r', null, i, 1, 1, 1, 1, 'h', null, null
      from generate_series(1, 20000) as i`);
  });
  for (const table of ['tools', 'executions']) await database.read.execute(sql.raw(`analyze ${table}`));
}

/** The database, and the text of each statement that it is asked to prepare. */
function watch(database: Database) {
  const texts = new Map<string, string>();
  const prepare: Database['prepare'] = (handle, name, query) => {
    texts.set(name, query.toSQL().sql);
    return database.prepare(handle, name, query);
  };
  return { texts, watched: { ...database, prepare, read: new Proxy(database.read, {}) } };
}

async function readEverything(database: Database): Promise<void> {
  const owner = ALICE.userId;
  await store.findTools(database, [randomUUID()], owner);
  const encryption = createEncryption([Buffer.alloc(32)]);
  for (const tool of [undefined, randomUUID()]) {
    await listExecutions({ database, encryption }, ALICE, { tool, status: 'error' });
  }
}

async function planOf(database: Database, name: string, text: string): Promise<string[]> {
  const parameters = new Set(text.match(/\$\d+/g)).size;
  const values = parameters === 0 ? '' : `(${Array(parameters).fill('null').join()})`;
  return database.transaction(async (transaction) => {
    await transaction.execute(sql.raw(`prepare plan_of_${name} as ${text}`));
    const result = await transaction.execute(sql.raw(`explain execute plan_of_${name}${values}`));
    const { rows } = result as unknown as { rows: Record<string, string>[] };
    return rows.map((row) => String(row['QUERY PLAN'])).filter((line) => /Scan|Sort/.test(line));
  });
}

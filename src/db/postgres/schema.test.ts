import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateDrizzleJson, generateMigration } from 'drizzle-kit/api';
import { sql } from 'drizzle-orm';
import { expect, it } from 'vitest';
import { packageRoot } from '../../package-root.ts';
import { isMissing } from '../../testing/services.ts';
import { openTestDatabase } from '../../testing/test-database.ts';
import * as schema from './schema.ts';

const folder = join(packageRoot, 'drizzle', 'postgres');

it('is what the migrations make', async () => {
  const last = readdirSync(join(folder, 'meta'))
    .filter((file) => file.endsWith('_snapshot.json'))
    .sort()
    .at(-1);
  const snapshot = JSON.parse(readFileSync(join(folder, 'meta', last ?? ''), 'utf8'));
  expect(await generateMigration(snapshot, generateDrizzleJson({ ...schema }, snapshot.id))).toEqual([]);
});

it.skipIf(await isMissing('postgres'))('has every text sort in byte order, as SQLite does', async () => {
  await using database = await openTestDatabase('postgres');
  const { rows } = (await database.read.execute(sql`
    select table_name || '.' || column_name as column, collation_name as collation
    from information_schema.columns
    where table_schema = current_schema() and data_type in ('text', 'character varying', 'character')
      and table_name not like '\\_\\_%'`)) as unknown as {
    rows: { column: string; collation: string | null }[];
  };
  expect(rows.length).toBeGreaterThan(20);
  expect(rows.filter(({ collation }) => collation !== 'C')).toEqual([]);
});

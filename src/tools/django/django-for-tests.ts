import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Sqlite } from '../../db/sqlite/driver.ts';

/** Columns of a row, over those of a tool that can be moved in as it is. */
export type RowValues = Readonly<Record<string, string | number | null | Buffer>>;

export const OWNER = '11111111-1111-4111-8111-111111111111';
const OWNER_HEX = OWNER.replaceAll('-', '');

/** The id of the row with this number, as a UUID. */
export function idOf(number: number): string {
  return `aaaaaaaa-0000-4000-8000-${String(number).padStart(12, '0')}`;
}

export function webhookDefinition(name: string, execution: Record<string, unknown> = {}) {
  return {
    name,
    description: `Does ${name}.`,
    parameters: { type: 'object', properties: { text: { type: 'string' } } },
    execution: { type: 'webhook', url: 'https://tools.example/hook', ...execution },
  };
}

/** The row with this number, as Django writes it. */
export function row(number: number, values: RowValues = {}): RowValues {
  const name = `tool_${number}`;
  return {
    id: idOf(number).replaceAll('-', ''),
    name,
    tool_type: 'standard',
    definition: JSON.stringify(webhookDefinition(name)),
    is_system_tool: 0,
    owner_id: OWNER_HEX,
    created_at: '2024-05-01 12:34:56.789012',
    updated_at: '2024-05-02 08:00:00',
    ...values,
  };
}

/** A database of the old service in a folder of its own, gone when it closes. */
export function makeDjango(rows: readonly RowValues[] = []) {
  const folder = mkdtempSync(join(tmpdir(), 'tool-service-django-'));
  const file = join(folder, 'db.sqlite3');
  const connection = new Sqlite(file);
  connection.exec(`
    create table "tools_tool" (
      "id" char(32) not null primary key, "name" varchar(255) not null, "tool_type" varchar(20) null,
      "definition" text null, "is_system_tool" bool null, "owner_id" char(32) null,
      "created_at" datetime null, "updated_at" datetime null, "usage_count" integer null
    )`);
  const put = (values: RowValues) => {
    const columns = Object.keys(values).map((name) => `"${name}"`);
    const marks = columns.map(() => '?');
    connection
      .prepare(`insert or replace into "tools_tool" (${columns}) values (${marks})`)
      .run(...Object.values(values));
  };
  for (const values of rows) put(values);
  return {
    file,
    folder,
    put,
    [Symbol.dispose]() {
      connection.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

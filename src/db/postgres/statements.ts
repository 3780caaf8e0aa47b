import { getTableColumns, sql } from 'drizzle-orm';
import { PgDialect, type PgTable } from 'drizzle-orm/pg-core';
import pg from 'pg';
import { bindersOf } from '../bind-placeholders.ts';
import type { PreparedQuery, SelectQuery } from '../database.ts';
import type { Queryable } from './pool.ts';

/** Writes SQL in PostgreSQL's words. */
const writer = new PgDialect();

/** Texts as they are, and whole numbers, counts among them, as numbers. */
const types = {
  getTypeParser: (type: number) =>
    type === pg.types.builtins.INT8 || type === pg.types.builtins.INT4 ? Number : (text: string) => text,
};

/**
 * Runs a drizzle query on the driver itself, as a prepared statement of its connection: drizzle's own way to the rows
 * takes several times as long.
 */
export function prepareSelect<Q extends SelectQuery>(
  runner: Queryable,
  name: string,
  query: Q,
): PreparedQuery<Q> {
  const { sql: text, params } = query.toSQL();
  const fields = Object.keys(query._.selectedFields);
  const bind = bindersOf(params);
  return async (values = {}) => {
    const { rows } = await runner.query({
      name,
      text,
      types,
      rowMode: 'array',
      values: bind.map((value) => value(values)),
    });
    return (rows as unknown[][]).map((cells) => {
      const row: Record<string, unknown> = {};
      for (let index = 0; index < fields.length; index++) row[fields[index] ?? ''] = cells[index];
      return row;
    });
  };
}

/** One statement for any number of rows, which go as one JSON value. */
export function prepareInsertion<T extends PgTable>(
  runner: Queryable,
  name: string,
  table: T,
): (rows: readonly T['$inferSelect'][]) => Promise<void> {
  const columns = Object.entries(getTableColumns(table));
  const list = sql.join(
    columns.map(([, column]) => sql.identifier(column.name)),
    sql`, `,
  );
  const rows = sql`jsonb_populate_recordset(null::${table}, ${sql.placeholder('rows')})`;
  const insert = sql`insert into ${table} (${list}) select ${list} from ${rows} on conflict do nothing`;
  const { sql: text } = writer.sqlToQuery(insert);
  return async (values) => {
    const named = values.map((row) =>
      Object.fromEntries(columns.map(([field, { name }]) => [name, row[field as keyof typeof row]])),
    );
    await runner.query({ name, text, values: [JSON.stringify(named)] });
  };
}

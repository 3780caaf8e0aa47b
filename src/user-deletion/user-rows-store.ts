import { and, asc, eq, getTableName, type SQL, sql } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import { type Database, preparedOnce, type Transaction } from '../db/database.ts';

const { placeholder } = sql;

/** Where a user's rows are: a table, whose rows they are, and the rest of a key that begins with the user. */
interface Place {
  readonly table: PgTable;
  readonly user: PgColumn;
  readonly order: readonly PgColumn[];
  /** What is told of a row that was removed. */
  readonly id: PgColumn;
}

/** Every table that has rows of users. What they hold beside them, secrets too, goes with the row. */
const placesOf = ({ tools, executions, idempotencyKeys: keys }: Database['tables']) =>
  ({
    tools: { table: tools, user: tools.ownerId, order: [tools.name], id: tools.id },
    executions: { table: executions, user: executions.userId, order: [executions.id], id: executions.id },
    idempotencyKeys: { table: keys, user: keys.userId, order: [keys.toolId, keys.key], id: keys.key },
  }) satisfies Record<string, Place>;

export type UserTable = keyof ReturnType<typeof placesOf>;

const removals = preparedOnce((database, handle) => {
  const prepare = ({ table, user, order, id }: Place) => {
    const name = getTableName(table);
    const key = tuple(order);
    const marks = (bound: string) => tuple(order.map((_, index) => sql`${placeholder(`${bound}${index}`)}`));
    const ofUser = eq(user, placeholder('user'));
    const beyond = sql`${key} > ${marks('after')}`;
    const remove = (where: SQL | undefined, name: string) =>
      handle.delete(table).where(where).returning({ id }).prepare(name);
    return {
      width: order.length,
      edge: database.prepare(
        handle,
        `edge_of_user_${name}`,
        handle
          .select(Object.fromEntries(order.map((column, index) => [`after${index}`, column])))
          .from(table)
          .where(and(ofUser, beyond))
          .orderBy(...order.map((column) => asc(column)))
          .limit(1)
          .offset(placeholder('skip')),
      ),
      section: remove(and(ofUser, beyond, sql`${key} <= ${marks('until')}`), `remove_some_user_${name}`),
      rest: remove(and(ofUser, beyond), `remove_user_${name}`),
    };
  };
  const { tools, executions, idempotencyKeys } = placesOf(database.tables);
  return {
    tools: prepare(tools),
    executions: prepare(executions),
    idempotencyKeys: prepare(idempotencyKeys),
  } satisfies Record<UserTable, unknown>;
});

/**
 * Removes the user's rows of a table in the order of their key, a section at a time: how many rows a section has is asked
 * before each. Sections follow one another by key, because PostgreSQL would go through the removed rows again to find the
 * first that is left.
 *
 * @returns the ids of each section's rows; of idempotency keys, the keys.
 */
export async function* removeUserRows(
  database: Database,
  transaction: Transaction,
  table: UserTable,
  userId: string,
  sectionRows: () => number,
): AsyncGenerator<string[]> {
  const { width, edge, section, rest } = removals(database, transaction)[table];
  let after: Record<string, unknown> = Object.fromEntries(
    Array.from({ length: width }, (_, index) => [`after${index}`, '']),
  );
  for (;;) {
    const values = { user: userId, ...after };
    const [last] = await edge({ ...values, skip: sectionRows() - 1 });
    if (!last) {
      yield idsOf(await rest.execute(values));
      return;
    }
    const until = Object.entries(last).map(([name, value]) => [name.replace('after', 'until'), value]);
    yield idsOf(await section.execute({ ...values, ...Object.fromEntries(until) }));
    after = last;
  }
}

function tuple(parts: readonly (SQL | PgColumn)[]): SQL {
  return sql`(${sql.join([...parts], sql`, `)})`;
}

function idsOf(rows: readonly { readonly id: unknown }[]): string[] {
  return rows.map(({ id }) => String(id));
}

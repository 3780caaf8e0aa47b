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

/** Finds the key of the nth row of a user's that follows a key. */
const edges = preparedOnce((database, handle) => {
  const prepare = ({ table, user, order }: Place) =>
    database.prepare(
      handle,
      `edge_of_user_${getTableName(table)}`,
      handle
        .select(Object.fromEntries(order.map((column, index) => [`after${index}`, column])))
        .from(table)
        .where(and(eq(user, placeholder('user')), beyond(order)))
        .orderBy(...order.map((column) => asc(column)))
        .limit(1)
        .offset(placeholder('skip')),
    );
  const { tools, executions, idempotencyKeys } = placesOf(database.tables);
  return {
    tools: prepare(tools),
    executions: prepare(executions),
    idempotencyKeys: prepare(idempotencyKeys),
  } satisfies Record<UserTable, unknown>;
});

const removals = preparedOnce((database, handle) => {
  const prepare = ({ table, user, order, id }: Place) => {
    const name = getTableName(table);
    const ofUser = eq(user, placeholder('user'));
    const remove = (where: SQL | undefined, name: string) =>
      handle.delete(table).where(where).returning({ id }).prepare(name);
    const upTo = sql`${tuple(order)} <= ${marks(order, 'until')}`;
    return {
      section: remove(and(ofUser, beyond(order), upTo), `remove_some_user_${name}`),
      rest: remove(and(ofUser, beyond(order)), `remove_user_${name}`),
    };
  };
  const { tools, executions, idempotencyKeys } = placesOf(database.tables);
  return {
    tools: prepare(tools),
    executions: prepare(executions),
    idempotencyKeys: prepare(idempotencyKeys),
  } satisfies Record<UserTable, unknown>;
});

/** Up to where a user's rows of a table were removed: the key of the last one. */
export type Position = Readonly<Record<string, unknown>>;

/** A user's rows of a table, in the order of their key. */
export interface Section {
  readonly table: UserTable;
  readonly userId: string;
  /** It begins with the row behind this one; undefined for the first. */
  readonly after: Position | undefined;
  /** How many rows it has. */
  readonly rows: number;
}

/** Whether the user has as many rows there. */
export async function isFull(database: Database, { table, userId, after, rows }: Section): Promise<boolean> {
  const values = { user: userId, ...FIRST, ...after, skip: rows - 1 };
  return (await edges(database)[table](values)).length > 0;
}

/**
 * Removes a section of a user's rows; where fewer are there, all of them. Sections follow one another by position, because
 * PostgreSQL would go through the removed rows again to find the first that is left.
 *
 * @returns the ids of the rows, of idempotency keys the keys, and the section's end; undefined where it was the last one.
 */
export async function removeSection(
  database: Database,
  transaction: Transaction,
  { table, userId, after, rows }: Section,
): Promise<{ readonly ids: readonly string[]; readonly end: Position | undefined }> {
  const { section, rest } = removals(database, transaction)[table];
  const values = { user: userId, ...FIRST, ...after };
  const [end] = await edges(database, transaction)[table]({ ...values, skip: rows - 1 });
  if (!end) return { ids: idsOf(await rest.execute(values)), end: undefined };
  const until = Object.entries(end).map(([name, value]) => [name.replace('after', 'until'), value]);
  const removed = await section.execute({ ...values, ...Object.fromEntries(until) });
  return { ids: idsOf(removed), end: end as Position };
}

/** Before every key; one with fewer columns has no use for the second. */
const FIRST: Position = { after0: '', after1: '' };

function beyond(order: readonly PgColumn[]): SQL {
  return sql`${tuple(order)} > ${marks(order, 'after')}`;
}

/** The placeholders of a key. */
function marks(order: readonly PgColumn[], bound: 'after' | 'until'): SQL {
  return tuple(order.map((_, index) => sql`${placeholder(`${bound}${index}`)}`));
}

function tuple(parts: readonly (SQL | PgColumn)[]): SQL {
  return sql`(${sql.join([...parts], sql`, `)})`;
}

function idsOf(rows: readonly { readonly id: unknown }[]): string[] {
  return rows.map(({ id }) => String(id));
}

import { and, eq, inArray, isNotNull, isNull, type SQL, sql } from 'drizzle-orm';
import type { Database, Handle, Transaction } from '../../db/database.ts';

type ToolRow = Database['tables']['tools']['$inferSelect'];

/** So much of a tool as tells what an import may do with it. */
export type KnownTool = Pick<ToolRow, 'id' | 'ownerId' | 'revision' | 'builtin' | 'createdAt'>;

/** What the last import left of a row: the time in the row, and the tool's revision. */
export interface Move {
  readonly id: string;
  readonly sourceUpdatedAt: number | null;
  readonly revision: number;
}

// What was moved in is kept in a table that only a database has into which something was moved: it is no part of the
// service's schema, and the service never looks at it. Without it, an import could not tell a tool that was deleted here
// from one that has not come yet, nor a change made here from the import's own.
const MOVES = sql.raw('moved_in_tools');

/** Makes the table of what was moved in, where there is none. */
export async function ensureMoves(transaction: Transaction): Promise<void> {
  await run(
    transaction,
    sql`create table if not exists ${MOVES} (id text primary key, source_updated_at bigint, revision bigint not null)`,
  );
}

/** What earlier imports left of these tools, by id. */
export async function findMoves(
  transaction: Transaction,
  ids: readonly string[],
): Promise<Map<string, Move>> {
  const rows = await all(
    transaction,
    sql`select id, source_updated_at, revision from ${MOVES} where ${among(ids)}`,
  );
  return new Map(
    rows.map((row) => {
      const time = row.source_updated_at;
      const sourceUpdatedAt = time === null ? null : Number(time);
      return [String(row.id), { id: String(row.id), sourceUpdatedAt, revision: Number(row.revision) }];
    }),
  );
}

/** Notes what an import leaves of a row. */
export async function saveMove(
  transaction: Transaction,
  { id, sourceUpdatedAt, revision }: Move,
): Promise<void> {
  await run(
    transaction,
    sql`insert into ${MOVES} (id, source_updated_at, revision) values (${id}, ${sourceUpdatedAt}, ${revision})
        on conflict (id) do update set source_updated_at = excluded.source_updated_at, revision = excluded.revision`,
  );
}

/** The tools of these ids, whoever owns them, by id. */
export async function findKnownTools(
  database: Database,
  transaction: Transaction,
  ids: readonly string[],
): Promise<Map<string, KnownTool>> {
  const { tools } = database.tables;
  const rows = await selectKnown(database, transaction).where(inArray(tools.id, [...ids]));
  return new Map(rows.map((row) => [row.id, row]));
}

/** The built-in tools, by their fixed pointer. */
export async function findKnownBuiltins(
  database: Database,
  transaction: Transaction,
): Promise<Map<string | null, KnownTool>> {
  const rows = await selectKnown(database, transaction).where(isNotNull(database.tables.tools.builtin));
  return new Map(rows.map((row) => [row.builtin, row]));
}

/** The id of the tool of this name among an owner's, or among the system's where the owner is null. */
export async function findIdByName(
  database: Database,
  transaction: Transaction,
  ownerId: string | null,
  name: string,
): Promise<string | undefined> {
  const { tools } = database.tables;
  const ofOwner = ownerId === null ? isNull(tools.ownerId) : eq(tools.ownerId, ownerId);
  const [row] = await transaction
    .select({ id: tools.id })
    .from(tools)
    .where(and(ofOwner, eq(tools.name, name)));
  return row?.id;
}

/** Gives a tool another id, with its secrets, encrypted for that one, and the time of its creation. */
export async function renumberTool(
  database: Database,
  transaction: Transaction,
  from: string,
  to: Pick<ToolRow, 'id' | 'secrets' | 'createdAt'>,
): Promise<void> {
  const { tools } = database.tables;
  await transaction.update(tools).set(to).where(eq(tools.id, from));
}

function selectKnown(database: Database, transaction: Transaction) {
  const { id, ownerId, revision, builtin, createdAt } = database.tables.tools;
  return transaction.select({ id, ownerId, revision, builtin, createdAt }).from(database.tables.tools);
}

function among(ids: readonly string[]): SQL {
  return ids.length === 0
    ? sql`1 = 0`
    : sql`id in (${sql.join(
        ids.map((id) => sql`${id}`),
        sql`, `,
      )})`;
}

// Drizzle has no words for a query of one's own that both engines know.

/** As SQLite's handle is, beneath the type that it is cast to. */
interface SqliteHandle {
  run(query: SQL): unknown;
  all(query: SQL): Record<string, unknown>[];
}

async function run(handle: Handle, query: SQL): Promise<void> {
  if ('run' in handle) (handle as unknown as SqliteHandle).run(query);
  else await handle.execute(query);
}

async function all(handle: Handle, query: SQL): Promise<Record<string, unknown>[]> {
  if ('all' in handle) return (handle as unknown as SqliteHandle).all(query);
  return ((await handle.execute(query)) as unknown as { rows: Record<string, unknown>[] }).rows;
}

import { and, asc, desc, eq, getTableColumns, gte, inArray, lt, or, sql } from 'drizzle-orm';
import { type Database, preparedOnce, type Transaction } from '../db/database.ts';
import type { ExecutionStatus } from './execution-record.ts';

const { placeholder } = sql;

export type ExecutionRow = Database['tables']['executions']['$inferSelect'];

/** Rows of one user, newest first, which is the order of ids from the highest. */
export interface Section {
  readonly userId: string;
  /** Only calls of this tool; undefined for all. */
  readonly toolId: string | undefined;
  /** Bounds of the ids: from this one on, and below that. */
  readonly from: string;
  readonly below: string;
}

const reads = preparedOnce((database, handle) => {
  const { executions } = database.tables;
  const { userId, toolId, id, errorCode } = executions;
  const ofUser = eq(userId, placeholder('userId'));
  const user = {
    rows: and(ofUser, gte(id, placeholder('from')), lt(id, placeholder('below'))),
    order: [desc(id)],
  };
  // Bounds of the pair: were the tool and the bounds of the id apart, SQLite would rather go through all of the user's.
  const tool = {
    rows: and(
      ofUser,
      sql`(${toolId}, ${id}) >= (${placeholder('toolId')}, ${placeholder('from')})`,
      sql`(${toolId}, ${id}) < (${placeholder('toolId')}, ${placeholder('below')})`,
    ),
    order: [desc(toolId), desc(id)],
  };
  const ofStatus = or(
    sql`${placeholder('status')} = ''`,
    sql`case when ${errorCode} is null then 'success' else 'error' end = ${placeholder('status')}`,
  );
  const page = (name: string, { rows, order }: typeof user) =>
    database.prepare(
      handle,
      name,
      handle
        .select(getTableColumns(executions))
        .from(executions)
        .where(and(rows, ofStatus))
        .orderBy(...order)
        .limit(placeholder('limit')),
    );
  const edge = (name: string, { rows, order }: typeof user) =>
    database.prepare(
      handle,
      name,
      handle
        .select({ id })
        .from(executions)
        .where(rows)
        .orderBy(...order)
        .limit(1)
        .offset(placeholder('skip')),
    );
  return {
    pageOfUser: page('executions_of_user', user),
    pageOfTool: page('executions_of_tool', tool),
    edgeOfUser: edge('edge_of_user_executions', user),
    edgeOfTool: edge('edge_of_tool_executions', tool),
  };
});

const writes = preparedOnce((database, handle) => ({
  // A row that is there already was written by an attempt whose success was not heard of.
  insert: database.prepareInsert(handle, 'insert_executions', database.tables.executions),
}));

/** Stores rows; those that are there already stay as they are. */
export async function insertExecutions(
  database: Database,
  transaction: Transaction,
  rows: readonly ExecutionRow[],
): Promise<void> {
  await writes(database, transaction).insert(rows);
}

/** The first rows of a section; where a status is given, the first of those that have it. */
export async function pageOfExecutions(
  database: Database,
  { toolId, ...section }: Section,
  { status, limit }: { readonly status: ExecutionStatus | undefined; readonly limit: number },
): Promise<readonly ExecutionRow[]> {
  const { pageOfUser, pageOfTool } = reads(database);
  const values = { ...section, status: status ?? '', limit };
  return toolId === undefined ? pageOfUser(values) : pageOfTool({ ...values, toolId });
}

/** The id of the row at the end of a section's first `count` rows; undefined when it has fewer. */
export async function findEdge(
  database: Database,
  { toolId, ...section }: Section,
  count: number,
): Promise<string | undefined> {
  const { edgeOfUser, edgeOfTool } = reads(database);
  const values = { ...section, skip: count - 1 };
  const [row] = await (toolId === undefined ? edgeOfUser(values) : edgeOfTool({ ...values, toolId }));
  return row?.id;
}

/** Removes the oldest rows of those below an id, at most `limit` of them. @returns whether there may be more. */
export async function removeExecutionsBelow(
  database: Database,
  transaction: Transaction,
  below: string,
  limit: number,
): Promise<boolean> {
  const { executions } = database.tables;
  const oldest = transaction
    .select({ id: executions.id })
    .from(executions)
    .where(lt(executions.id, below))
    .orderBy(asc(executions.id))
    .limit(limit);
  const removed = await transaction
    .delete(executions)
    .where(inArray(executions.id, oldest))
    .returning({ id: executions.id });
  return removed.length === limit;
}

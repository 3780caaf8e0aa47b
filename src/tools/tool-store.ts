import { and, asc, eq, getTableColumns, gt, isNotNull, isNull, or, sql } from 'drizzle-orm';
import { type Database, type Handle, preparedOnce, type Transaction } from '../db/database.ts';
import type { Tool, ToolType } from './tool.ts';

const { placeholder } = sql;

type ToolRow = Database['tables']['tools']['$inferSelect'];

/** What is stored of a tool: what readers see, its secrets, encrypted, and its description, for searching. */
export type ToolRecord = Tool & Pick<ToolRow, 'secrets' | 'description'>;

/** A change of a tool: what is not in it stays. */
export type ToolChangeRecord = Tool & Partial<Pick<ToolRow, 'secrets' | 'description'>>;

/** What a search looks at. */
export type ToolSummary = Pick<ToolRow, 'id' | 'name' | 'description'>;

/** A part of a list that is in byte order of names. */
export interface Page {
  /** Null for the system tools. */
  readonly ownerId: string | null;
  /** The name that the page comes after; the empty text for the first page. */
  readonly after: string;
  readonly toolType: ToolType | undefined;
  readonly limit: number;
}

const queries = preparedOnce((database, handle) => {
  const { tools } = database.tables;
  const ofOwner = eq(tools.ownerId, placeholder('owner'));
  const ofSystem = isNull(tools.ownerId);
  // Written so that no planner looks the ids up by owner: one may own ten thousand tools, all see the system's.
  const visible = sql`coalesce(${tools.ownerId}, '') in ('', ${placeholder('owner')})`;
  // Not the secrets: only a call needs them.
  const { secrets, description, ...columns } = getTableColumns(tools);
  const summary = { id: tools.id, name: tools.name, description };
  const named = database.anyOf(tools.name, 'names');
  const count = { count: sql<number>`count(*)`.mapWith(Number) };
  const page = (section: typeof ofOwner) =>
    and(
      section,
      gt(tools.name, placeholder('after')),
      or(sql`${placeholder('toolType')} = ''`, eq(tools.toolType, placeholder('toolType'))),
    );
  const allOf = (section: typeof ofOwner) =>
    handle
      .select(columns)
      .from(tools)
      .where(page(section))
      .orderBy(asc(tools.name))
      .limit(placeholder('limit'));
  const summariesOf = (section: typeof ofOwner) =>
    handle
      .select(summary)
      .from(tools)
      .where(page(section))
      .orderBy(asc(tools.name))
      .limit(placeholder('limit'));

  return {
    byId: handle
      .select(columns)
      .from(tools)
      .where(and(eq(tools.id, placeholder('id')), visible))
      .prepare('tool_by_id'),
    byIds: handle
      .select(columns)
      .from(tools)
      .where(and(database.anyOf(tools.id, 'ids'), visible))
      .prepare('tools_by_ids'),
    countByIds: handle
      .select(count)
      .from(tools)
      .where(and(database.anyOf(tools.id, 'ids'), visible))
      .prepare('count_tools_by_ids'),
    byNames: handle
      .select(columns)
      .from(tools)
      .where(or(and(ofSystem, named), and(ofOwner, named)))
      .prepare('tools_by_names'),
    ownedByName: handle
      .select(columns)
      .from(tools)
      .where(and(eq(tools.name, placeholder('name')), isNotNull(tools.ownerId)))
      .limit(2)
      .prepare('owned_tools_by_name'),
    secrets: handle
      .select({ secrets })
      .from(tools)
      .where(eq(tools.id, placeholder('id')))
      .prepare('tool_secrets'),
    countOwned: handle.select(count).from(tools).where(ofOwner).prepare('count_owned_tools'),
    builtins: handle
      .select({ builtin: tools.builtin })
      .from(tools)
      .where(isNotNull(tools.builtin))
      .prepare('builtin_tools'),
    summariesByIds: handle
      .select(summary)
      .from(tools)
      .where(and(database.anyOf(tools.id, 'ids'), visible))
      .prepare('tool_summaries_by_ids'),
    systemPage: allOf(ofSystem).prepare('system_tools_page'),
    ownedPage: allOf(ofOwner).prepare('owned_tools_page'),
    systemSummaries: summariesOf(ofSystem).prepare('system_tool_summaries'),
    ownedSummaries: summariesOf(ofOwner).prepare('owned_tool_summaries'),
  };
});

/** The tool of this id if it is the owner's or the system's. */
export async function findTool(
  database: Database,
  id: string,
  owner: string | null,
  handle: Handle = database.read,
): Promise<Tool | undefined> {
  const [row] = await queries(database, handle).byId.execute({ id, owner: owner ?? '' });
  return row && toTool(row);
}

/** Those of these tools that are the owner's or the system's, each once, in no order. */
export async function findTools(
  database: Database,
  ids: readonly string[],
  owner: string | null,
): Promise<Tool[]> {
  const rows = await queries(database).byIds.execute({ ids: JSON.stringify(ids), owner: owner ?? '' });
  return rows.map(toTool);
}

/** How many of these tools are the owner's or the system's; an id that comes twice counts once. */
export async function countTools(
  database: Database,
  ids: readonly string[],
  owner: string | null,
): Promise<number> {
  const [row] = await queries(database).countByIds.execute({ ids: JSON.stringify(ids), owner: owner ?? '' });
  return row?.count ?? 0;
}

/** The owner's and the system's tools of these names, in no order. */
export async function findToolsByNames(
  database: Database,
  names: readonly string[],
  owner: string | null,
): Promise<Tool[]> {
  const rows = await queries(database).byNames.execute({ names: JSON.stringify(names), owner });
  return rows.map(toTool);
}

/** Users' tools of this name, whoever owns them: two at most, which is enough to know that there is more than one. */
export async function findAnyonesToolsByName(database: Database, name: string): Promise<Tool[]> {
  const rows = await queries(database).ownedByName.execute({ name });
  return rows.map(toTool);
}

/** A page of the owner's or the system's tools, in byte order of names. */
export async function pageOfTools(database: Database, page: Page): Promise<Tool[]> {
  const { systemPage, ownedPage } = queries(database);
  const rows = await (page.ownerId === null ? systemPage : ownedPage).execute(pageValues(page));
  return rows.map(toTool);
}

/** As `pageOfTools`, only what a search looks at. */
export async function pageOfSummaries(database: Database, page: Page): Promise<ToolSummary[]> {
  const { systemSummaries, ownedSummaries } = queries(database);
  return (page.ownerId === null ? systemSummaries : ownedSummaries).execute(pageValues(page));
}

/** As `findTools`, only what a search looks at. */
export async function findSummaries(
  database: Database,
  ids: readonly string[],
  owner: string | null,
): Promise<ToolSummary[]> {
  return queries(database).summariesByIds.execute({ ids: JSON.stringify(ids), owner: owner ?? '' });
}

/** The encrypted secrets of a tool, if it has any. */
export async function findSecrets(
  database: Database,
  id: string,
  handle: Handle = database.read,
): Promise<string | null> {
  const [row] = await queries(database, handle).secrets.execute({ id });
  return row?.secrets ?? null;
}

/** How many tools a user owns. */
export async function countOwnedTools(database: Database, owner: string, handle: Handle): Promise<number> {
  const [row] = await queries(database, handle).countOwned.execute({ owner });
  return row?.count ?? 0;
}

/** The fixed pointers of the built-in tools that are installed. */
export async function findBuiltins(database: Database): Promise<Set<string | null>> {
  return new Set((await queries(database).builtins.execute()).map((row) => row.builtin));
}

/** Stores a new tool. @returns false, and nothing is stored, when its owner has a tool of that name. */
export async function insertTool(
  database: Database,
  transaction: Transaction,
  record: ToolRecord,
): Promise<boolean> {
  const rows = await transaction
    .insert(database.tables.tools)
    .values(toRow(record))
    .onConflictDoNothing()
    .returning({ id: database.tables.tools.id });
  return rows.length > 0;
}

/**
 * Stores a change of a tool, provided that it still is at the revision before this one.
 *
 * @returns false, and nothing is changed, when it was changed or deleted meanwhile.
 * @throws the database's unique violation when its owner has another tool of that name.
 */
export async function replaceTool(
  database: Database,
  transaction: Transaction,
  record: ToolChangeRecord,
): Promise<boolean> {
  const { tools } = database.tables;
  const rows = await transaction
    .update(tools)
    .set(toRow(record))
    .where(and(eq(tools.id, record.id), eq(tools.revision, record.revision - 1)))
    .returning({ id: tools.id });
  return rows.length > 0;
}

/** Removes a tool. @returns false when it is not at this revision any more. */
export async function removeTool(
  database: Database,
  transaction: Transaction,
  tool: Pick<Tool, 'id' | 'revision'>,
): Promise<boolean> {
  const { tools } = database.tables;
  const rows = await transaction
    .delete(tools)
    .where(and(eq(tools.id, tool.id), eq(tools.revision, tool.revision)))
    .returning({ id: tools.id });
  return rows.length > 0;
}

function pageValues({ ownerId, after, toolType, limit }: Page) {
  return { ...(ownerId === null ? {} : { owner: ownerId }), after, toolType: toolType ?? '', limit };
}

function toTool(row: Omit<ToolRow, 'secrets' | 'description'>): Tool {
  return {
    id: row.id,
    name: row.name,
    toolType: row.toolType,
    definition: row.definition,
    ownerId: row.ownerId,
    createdAt: new Date(row.createdAt),
    updatedAt: new Date(row.updatedAt),
    revision: row.revision,
    pointer: row.pointer,
    builtin: row.builtin,
  };
}

function toRow<R extends ToolChangeRecord>(record: R) {
  return { ...record, createdAt: record.createdAt.getTime(), updatedAt: record.updatedAt.getTime() };
}

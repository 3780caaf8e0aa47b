import { and, asc, between, eq, getTableColumns, gt, isNotNull, isNull, or, sql } from 'drizzle-orm';
import {
  type Database,
  type Handle,
  preparedOnce,
  type SelectQuery,
  type Transaction,
} from '../db/database.ts';
import { createLruCache } from '../lru-cache.ts';
import { isFitText } from './find-unfit.ts';
import type { Tool, ToolType } from './tool.ts';

const { placeholder } = sql;

type ToolRow = Database['tables']['tools']['$inferSelect'];

/** So much of a description is searched: what a tool does is said at its beginning. */
const MAX_SEARCHED_CHARACTERS = 4096;

/** What a search looks at. */
export type ToolSummary = Pick<ToolRow, 'id' | 'name' | 'description'>;

/** Under which names a tool can be called. */
export type ToolNames = Pick<ToolRow, 'id' | 'revision' | 'ownerId' | 'name' | 'alias'>;

/** A part of a list that is in byte order of names. */
export interface Page {
  /** Null for the system tools. */
  readonly ownerId: string | null;
  /** The name that the page comes after; the empty text for the first page. */
  readonly after: string;
  readonly toolType: ToolType | undefined;
  readonly limit: number;
}

/** What of the registry is kept in memory, in characters of definitions. */
const MAX_CACHED_CHARACTERS = 16 * 1024 * 1024;

/** Which tool, and after how many changes: what a tool is never differs for the same of both. */
type Version = Pick<ToolRow, 'id' | 'revision'>;

const queries = preparedOnce((database, handle) => {
  const { tools } = database.tables;
  const ofOwner = eq(tools.ownerId, placeholder('owner'));
  const ofSystem = isNull(tools.ownerId);
  // Written so that no planner looks the ids up by owner: one may own ten thousand tools, all see the system's.
  const visible = sql`coalesce(${tools.ownerId}, '') in ('', ${placeholder('owner')})`;
  const amongIds = and(database.anyOf(tools.id, 'ids'), visible);
  const named = database.anyOf(tools.name, 'names');
  const page = (section: typeof ofOwner) =>
    and(
      section,
      gt(tools.name, placeholder('after')),
      or(sql`${placeholder('toolType')} = ''`, eq(tools.toolType, placeholder('toolType'))),
    );
  // Not the secrets: only a call needs them.
  const { secrets, description, alias, ...columns } = getTableColumns(tools);
  const version = { id: tools.id, revision: tools.revision };
  const summary = {
    id: tools.id,
    name: tools.name,
    description: sql<string>`substr(${description}, 1, ${sql.raw(String(MAX_SEARCHED_CHARACTERS))})`.as(
      'searched',
    ),
  };
  const count = { count: sql<number>`count(*)`.mapWith(Number) };
  const names = { ...version, ownerId: tools.ownerId, name: tools.name, alias };
  const aliased = database.anyOf(alias, 'names');
  const reaches = (column: typeof tools.name | typeof alias) =>
    between(column, placeholder('from'), placeholder('to'));

  const select = handle.select(columns).from(tools);
  const versions = () => handle.select(version).from(tools);
  const versionsOf = (section: typeof ofOwner) =>
    handle
      .select({ name: tools.name, ...version })
      .from(tools)
      .where(page(section))
      .orderBy(asc(tools.name))
      .limit(placeholder('limit'));
  const summaries = () => handle.select(summary).from(tools);
  const summariesOf = (section: typeof ofOwner) =>
    summaries().where(page(section)).orderBy(asc(tools.name)).limit(placeholder('limit'));
  const counts = () => handle.select(count).from(tools);

  const prepare = <Q extends SelectQuery>(name: string, query: Q) => database.prepare(handle, name, query);

  return {
    cache: createLruCache<Tool>(MAX_CACHED_CHARACTERS, ({ definition }) => definition.length),
    rows: prepare('tools_by_ids', select.where(amongIds)),
    versionsByIds: prepare('tool_versions_by_ids', versions().where(amongIds)),
    versionsByNames: prepare(
      'tool_versions_by_names',
      versions().where(or(and(ofSystem, named), and(ofOwner, named))),
    ),
    namesByNames: prepare(
      'tool_names_by_names',
      handle
        .select(names)
        .from(tools)
        .where(or(and(ofSystem, named), and(ofOwner, named))),
    ),
    namesByAliases: prepare(
      'tool_names_by_aliases',
      handle
        .select(names)
        .from(tools)
        .where(or(and(ofSystem, aliased), and(ofOwner, aliased))),
    ),
    namesInRange: prepare(
      'tool_names_in_range',
      handle
        .select(names)
        .from(tools)
        .where(
          or(
            and(ofSystem, reaches(tools.name)),
            and(ofOwner, reaches(tools.name)),
            and(ofSystem, reaches(alias)),
            and(ofOwner, reaches(alias)),
          ),
        ),
    ),
    systemVersions: prepare('system_tool_versions', versionsOf(ofSystem)),
    ownedVersions: prepare('owned_tool_versions', versionsOf(ofOwner)),
    summariesByIds: prepare('tool_summaries_by_ids', summaries().where(amongIds)),
    systemSummaries: prepare('system_tool_summaries', summariesOf(ofSystem)),
    ownedSummaries: prepare('owned_tool_summaries', summariesOf(ofOwner)),
    countByIds: prepare('count_tools_by_ids', counts().where(amongIds)),
    countOwned: prepare('count_owned_tools', counts().where(ofOwner)),
    ownersByName: prepare(
      'tool_owners_by_name',
      handle
        .select({ ownerId: tools.ownerId, ...version })
        .from(tools)
        .where(and(eq(tools.name, placeholder('name')), isNotNull(tools.ownerId)))
        .limit(2),
    ),
    secrets: prepare(
      'tool_secrets',
      handle
        .select({ secrets, revision: tools.revision })
        .from(tools)
        .where(eq(tools.id, placeholder('id'))),
    ),
    builtins: prepare(
      'builtin_tools',
      handle.select({ builtin: tools.builtin }).from(tools).where(isNotNull(tools.builtin)),
    ),
  };
});

/**
 * The tools of these versions, in their order. The database says which tools and of what revision, each time; what they
 * are comes from memory where that is known. So nothing is ever served stale, whichever process changed it.
 */
async function load(database: Database, versions: readonly Version[], owner: string | null): Promise<Tool[]> {
  const { cache, rows } = queries(database);
  const known = versions.map(({ id, revision }) => cache.get(`${id}:${revision}`));
  const missing = versions.filter((_, index) => known[index] === undefined).map(({ id }) => id);
  if (missing.length === 0) return known as Tool[];
  const read = new Map<string, Tool>();
  for (const row of await rows(idValues(missing, owner))) {
    const tool = toTool(row);
    cache.set(`${tool.id}:${tool.revision}`, tool);
    read.set(tool.id, tool);
  }
  // One that was deleted between the two queries is left out.
  return versions.flatMap(({ id }, index) => known[index] ?? read.get(id) ?? []);
}

/** The tool of this id if it is the owner's or the system's. */
export async function findTool(
  database: Database,
  id: string,
  owner: string | null,
): Promise<Tool | undefined> {
  const [tool] = await findTools(database, [id], owner);
  return tool;
}

/**
 * As `findTool`, by a transaction's own handle: what is there now. Read past the cache, as what a transaction sees may never
 * be committed.
 */
export async function findToolInTransaction(
  database: Database,
  transaction: Transaction,
  id: string,
  owner: string | null,
): Promise<Tool | undefined> {
  const [row] = await queries(database, transaction).rows(idValues([id], owner));
  return row && toTool(row);
}

/** Those of these tools that are the owner's or the system's, each once, in no order. */
export async function findTools(
  database: Database,
  ids: readonly string[],
  owner: string | null,
): Promise<Tool[]> {
  const versions = await queries(database).versionsByIds(idValues(ids, owner));
  return load(database, versions, owner);
}

/** How many of these tools are the owner's or the system's; an id that comes twice counts once. */
export async function countTools(
  database: Database,
  ids: readonly string[],
  owner: string | null,
): Promise<number> {
  const [row] = await queries(database).countByIds(idValues(ids, owner));
  return row?.count ?? 0;
}

/** The owner's and the system's tools of these names, in no order. */
export async function findToolsByNames(
  database: Database,
  names: readonly string[],
  owner: string | null,
): Promise<Tool[]> {
  const fit = nameValues(names);
  if (!fit) return [];
  return load(database, await queries(database).versionsByNames({ ...fit, owner }), owner);
}

/** What the owner's and the system's tools of these names are called, in no order. */
export async function findNames(
  database: Database,
  names: readonly string[],
  owner: string | null,
): Promise<ToolNames[]> {
  const fit = nameValues(names);
  return fit ? [...(await queries(database).namesByNames({ ...fit, owner }))] : [];
}

/** As `findNames`, for the tools of these aliases. */
export async function findAliases(
  database: Database,
  aliases: readonly string[],
  owner: string | null,
): Promise<ToolNames[]> {
  const fit = nameValues(aliases);
  return fit ? [...(await queries(database).namesByAliases({ ...fit, owner }))] : [];
}

/** As `findNames`, for the tools whose name or alias is `stem` or, where `isCut`, begins with it. */
export async function findNamesByStem(
  database: Database,
  { stem, isCut }: { readonly stem: string; readonly isCut: boolean },
  owner: string | null,
): Promise<ToolNames[]> {
  // The characters of an allowed name all come before `~`.
  return queries(database).namesInRange({ from: stem, to: isCut ? `${stem}~` : stem, owner });
}

/** The tools that these are the names of, in their order. */
export async function loadNamed(
  database: Database,
  names: readonly ToolNames[],
  owner: string | null,
): Promise<Tool[]> {
  return load(database, names, owner);
}

/** The tool of this name that a user owns, if exactly one user does. */
export async function findOnlyOwnedTool(database: Database, name: string): Promise<Tool | undefined> {
  if (!isFitText(name)) return undefined;
  const [only, another] = await queries(database).ownersByName({ name });
  if (!only || another) return undefined;
  const [tool] = await load(database, [only], only.ownerId);
  return tool;
}

/**
 * A page of the owner's or the system's tools, in byte order of names.
 *
 * @returns the tools, and the name that the next page comes after; undefined when there are no more.
 */
export async function pageOfTools(
  database: Database,
  page: Page,
): Promise<{ tools: Tool[]; last: string | undefined }> {
  const { systemVersions, ownedVersions } = queries(database);
  const versions = await (page.ownerId === null ? systemVersions : ownedVersions)(pageValues(page));
  const last = versions.length < page.limit ? undefined : versions.at(-1)?.name;
  return { tools: await load(database, versions, page.ownerId), last };
}

/** As `pageOfTools`, only what a search looks at. */
export async function pageOfSummaries(database: Database, page: Page): Promise<ToolSummary[]> {
  const { systemSummaries, ownedSummaries } = queries(database);
  return (page.ownerId === null ? systemSummaries : ownedSummaries)(pageValues(page));
}

/** As `findTools`, only what a search looks at. */
export async function findSummaries(
  database: Database,
  ids: readonly string[],
  owner: string | null,
): Promise<ToolSummary[]> {
  return queries(database).summariesByIds(idValues(ids, owner));
}

/** The encrypted secrets of a tool, if it has any. */
export async function findSecrets(
  database: Database,
  id: string,
  handle: Handle = database.read,
): Promise<string | null> {
  const [row] = await queries(database, handle).secrets({ id });
  return row?.secrets ?? null;
}

/** As `findSecrets`, for just this version of a tool; undefined when it was changed or deleted since. */
export async function findSecretsOfVersion(
  database: Database,
  { id, revision }: Version,
): Promise<string | null | undefined> {
  const [row] = await queries(database).secrets({ id });
  return row?.revision === revision ? row.secrets : undefined;
}

/** How many tools a user owns. */
export async function countOwnedTools(database: Database, owner: string, handle: Handle): Promise<number> {
  const [row] = await queries(database, handle).countOwned({ owner });
  return row?.count ?? 0;
}

/** The fixed pointers of the built-in tools that are installed. */
export async function findBuiltins(
  database: Database,
  handle: Handle = database.read,
): Promise<Set<string | null>> {
  return new Set((await queries(database, handle).builtins()).map((row) => row.builtin));
}

function idValues(ids: readonly string[], owner: string | null) {
  return { ids: JSON.stringify(ids), owner: owner ?? '' };
}

/** Those that can be stored, as others name nothing; undefined where none are. */
function nameValues(names: readonly string[]): { readonly names: string } | undefined {
  const fit = names.filter(isFitText);
  return fit.length === 0 ? undefined : { names: JSON.stringify(fit) };
}

function pageValues({ ownerId, after, toolType, limit }: Page) {
  return { ...(ownerId === null ? {} : { owner: ownerId }), after, toolType: toolType ?? '', limit };
}

function toTool(row: Omit<ToolRow, 'secrets' | 'description' | 'alias'>): Tool {
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

const revisions = preparedOnce((database, handle) => {
  const { tools, deletedUsers } = database.tables;
  const isDeleted = sql`exists (select 1 from ${deletedUsers} where ${deletedUsers.userId} = ${placeholder('user')})`;
  return database.prepare(
    handle,
    'tool_revision',
    handle
      .select({ revision: tools.revision })
      .from(tools)
      .where(and(eq(tools.id, placeholder('id')), sql`not ${isDeleted}`)),
  );
});

/**
 * The revision that a tool is at now: one read, for what was looked up before. A tool never changes hands.
 *
 * @param user for whom it was looked up; null where nobody's deletion matters.
 * @returns undefined when the tool, or the user, was deleted.
 */
export async function findRevision(
  database: Database,
  id: string,
  user: string | null,
): Promise<number | undefined> {
  const [row] = await revisions(database)({ id, user: user ?? '' });
  return row?.revision;
}

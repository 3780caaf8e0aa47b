import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Caller } from '../caller.ts';
import { invalidField } from '../errors.ts';
import { takeTurns } from '../take-turns.ts';
import type { ToolsContext } from './context.ts';
import { isFitText } from './definition.ts';
import type { Tool, ToolType } from './tool.ts';
import { findTools, type Page, pageOfSummaries, pageOfTools, type ToolSummary } from './tool-store.ts';

/** Most tools in one answer, and as many as there are without a `limit`. */
export const MAX_PAGE = 1000;

/** A page ends early when its definitions reach this many characters: an answer stays of a size that can be held. */
const MAX_PAGE_CHARACTERS = 4 * 1024 * 1024;

/** Rows read from the database in one go: the event loop is free in between. */
const SLICE = 100;
const SUMMARY_SLICE = 100;

const MAX_SEARCH_CHARACTERS = 1000;

/** Where a page begins: after the tool of this name among the system tools or the caller's own. */
type Position = { readonly section: 'system' | 'own'; readonly after: string };

export interface ListQuery {
  /** 1 to 1000. */
  readonly limit?: number | undefined;
  /** The `nextCursor` of the page before. */
  readonly cursor?: string | undefined;
  /** Only tools that have each of these words in their name or description, in any case. */
  readonly search?: string | undefined;
  readonly toolType?: ToolType | undefined;
}

export interface ToolPage {
  readonly tools: Tool[];
  /** Undefined on the last page. */
  readonly nextCursor: string | undefined;
}

/**
 * Lists what the caller may use: the system tools, then their own, each in byte order of names.
 *
 * @throws ServiceError `invalid_argument` for a limit out of range, a cursor that is not ours, or too long a search.
 */
export async function listTools(
  context: Pick<ToolsContext, 'database'>,
  caller: Caller,
  query: ListQuery,
): Promise<ToolPage> {
  const limit = query.limit ?? MAX_PAGE;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw invalidField('limit', `must be a whole number from 1 to ${MAX_PAGE}.`);
  }
  const words = searchWords(query.search);
  let position: Position =
    query.cursor === undefined ? { section: 'system', after: '' } : readCursor(query.cursor);

  const tools: Tool[] = [];
  let characters = 0;
  for (;;) {
    const ownerId = position.section === 'system' ? null : caller.userId;
    const size = words.length > 0 ? SUMMARY_SLICE : Math.min(SLICE, limit - tools.length + 1);
    const page: Page = { ownerId, after: position.after, toolType: query.toolType, limit: size };
    const slice =
      words.length > 0 ? await searchSlice(context, page, words) : await pageOfTools(context.database, page);
    for (const tool of slice.tools) {
      if (tools.length === limit || characters >= MAX_PAGE_CHARACTERS) {
        return { tools, nextCursor: writeCursor(tools) };
      }
      tools.push(tool);
      characters += tool.definition.length;
    }
    if (slice.last !== undefined) {
      position = { section: position.section, after: slice.last };
      await nextTurn();
    } else if (position.section === 'system' && caller.userId !== null) {
      position = { section: 'own', after: '' };
    } else {
      return { tools, nextCursor: undefined };
    }
  }
}

/** Some tools in order, and the name up to which they were looked for; undefined when there are no more. */
type Slice = { readonly tools: Tool[]; readonly last: string | undefined };

async function searchSlice(
  { database }: Pick<ToolsContext, 'database'>,
  page: Page,
  words: readonly string[],
): Promise<Slice> {
  const summaries = await pageOfSummaries(database, page);
  const nextTurn = takeTurns();
  const hits: ToolSummary[] = [];
  for (const summary of summaries) {
    await nextTurn();
    const text = foldCase(`${summary.name}\n${summary.description}`);
    if (words.every((word) => text.includes(word))) hits.push(summary);
  }
  const found =
    hits.length === 0
      ? []
      : await findTools(
          database,
          hits.map(({ id }) => id),
          page.ownerId,
        );
  const byId = new Map(found.map((tool) => [tool.id, tool]));
  return {
    tools: hits.flatMap(({ id }) => byId.get(id) ?? []),
    last: summaries.length < page.limit ? undefined : summaries.at(-1)?.name,
  };
}

function searchWords(search: string | undefined): string[] {
  if (search === undefined) return [];
  if (search.length > MAX_SEARCH_CHARACTERS) {
    throw invalidField('search', `must have no more than ${MAX_SEARCH_CHARACTERS} characters.`);
  }
  return [
    ...new Set(
      foldCase(search)
        .split(/\s+/u)
        .filter((word) => word !== ''),
    ),
  ];
}

function foldCase(text: string): string {
  return text.normalize('NFKC').toLowerCase();
}

function writeCursor(tools: readonly Tool[]): string {
  const last = tools.at(-1);
  return encodeCursor(last?.ownerId === null ? 's' : 'o', last?.name ?? '');
}

function encodeCursor(section: 's' | 'o', after: string): string {
  return Buffer.from(JSON.stringify([section, after])).toString('base64url');
}

function readCursor(cursor: string): Position {
  try {
    const position: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    const [section, after] = Array.isArray(position) ? (position as unknown[]) : [];
    if (
      (section === 's' || section === 'o') &&
      typeof after === 'string' &&
      after !== '' &&
      isFitText(after) &&
      // Decoding passes over what is not base64url: only the very text that was given out is ours.
      encodeCursor(section, after) === cursor
    ) {
      return { section: section === 's' ? 'system' : 'own', after };
    }
  } catch {
    // Not ours, as below.
  }
  throw invalidField('cursor', 'is not one that this service gave out.');
}

import type { Caller } from '../caller.ts';
import type { Database } from '../db/database.ts';
import type { Encryption } from '../encryption.ts';
import { invalidField } from '../errors.ts';
import { takeTurns } from '../take-turns.ts';
import { requireUser } from '../tools/access.ts';
import { findToolsByAliases } from '../tools/formats/find-by-alias.ts';
import { findNames } from '../tools/tool-store.ts';
import { lowestUuidV7, parseUuid } from '../uuid.ts';
import type { Execution, ExecutionStatus } from './execution-record.ts';
import { openRow } from './execution-row.ts';
import { findEdge, pageOfExecutions, type Section } from './history-store.ts';

/** Most executions in one answer, and as many as there are without a `limit`. */
export const MAX_PAGE = 1000;
export const DEFAULT_PAGE = 100;

/** A page ends early when its payloads reach this many characters: an answer stays of a size that can be held. */
const MAX_PAGE_CHARACTERS = 2 * 1024 * 1024;

/** Rows read from the database in one go. */
const READ = 100;

/** Rows among which those of a status are looked for in one go, and for one request. */
const SLICE = 1000;
const MAX_LOOKED_AT = 20_000;

/** What every id sorts before. */
const ABOVE_ALL = 'g';

/** What reading the history needs from the rest of the service. */
export interface HistoryContext {
  readonly database: Database;
  readonly encryption: Encryption;
}

export interface ExecutionQuery {
  /** 1 to 1000. */
  readonly limit?: number | undefined;
  /** The `nextCursor` of the page before. */
  readonly cursor?: string | undefined;
  /** Only calls of this tool: its id in any spelling, or the name of a tool that the caller may use. */
  readonly tool?: string | undefined;
  readonly status?: ExecutionStatus | undefined;
  /** Only calls that began at this time or later. */
  readonly after?: Date | undefined;
  /** Only calls that began before this time. */
  readonly before?: Date | undefined;
}

export interface ExecutionPage {
  /** Fewer than `limit` may yet be followed by others: one request looks at no more than 20,000 rows. */
  readonly executions: Execution[];
  /** Undefined on the last page. */
  readonly nextCursor: string | undefined;
}

/**
 * Lists what the caller's own calls came to, newest first. A call is there once it has ended.
 *
 * @throws ServiceError `invalid_argument` for a limit out of range, a cursor that is not ours, or a caller without a
 * user.
 */
export async function listExecutions(
  context: HistoryContext,
  caller: Caller,
  query: ExecutionQuery,
): Promise<ExecutionPage> {
  const userId = requireUser(caller);
  const limit = query.limit ?? DEFAULT_PAGE;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw invalidField('limit', `must be a whole number from 1 to ${MAX_PAGE}.`);
  }
  const bounds = readBounds(query);
  const toolId = query.tool === undefined ? undefined : await findToolId(context, query.tool, userId);
  if (toolId === null) return { executions: [], nextCursor: undefined };
  return collect(context, { userId, toolId, ...bounds }, query.status, limit);
}

async function collect(
  { database, encryption }: HistoryContext,
  section: Section,
  status: ExecutionStatus | undefined,
  limit: number,
): Promise<ExecutionPage> {
  const nextTurn = takeTurns();
  const executions: Execution[] = [];
  let characters = 0;
  // All from here up was looked at: a page goes on below it.
  let { below } = section;
  for (let lookedAt = 0; lookedAt < MAX_LOOKED_AT; lookedAt += SLICE) {
    await nextTurn();
    const rest = { ...section, below };
    const edge = status === undefined ? undefined : await findEdge(database, rest, SLICE);
    const slice = { ...rest, from: edge ?? section.from };
    for (let isWhole = false; !isWhole; ) {
      // One more tells whether there is another page.
      const size = Math.min(READ, limit - executions.length + 1);
      const rows = await pageOfExecutions(database, { ...slice, below }, { status, limit: size });
      for (const row of rows) {
        await nextTurn();
        if (executions.length === limit || characters >= MAX_PAGE_CHARACTERS) {
          return { executions, nextCursor: writeCursor(below) };
        }
        const execution = openRow(row, encryption);
        executions.push(execution);
        characters += (execution.arguments?.length ?? 0) + (execution.output?.length ?? 0);
        below = row.id;
      }
      isWhole = rows.length < size;
    }
    if (edge === undefined) return { executions, nextCursor: undefined };
    below = edge;
  }
  return { executions, nextCursor: writeCursor(below) };
}

/** The times and the cursor as bounds of ids, which begin with the time. */
function readBounds({ cursor, after, before }: ExecutionQuery): Pick<Section, 'from' | 'below'> {
  const bounds = [
    before === undefined ? ABOVE_ALL : lowestUuidV7(before.getTime()),
    cursor === undefined ? ABOVE_ALL : readCursor(cursor),
  ];
  return {
    from: after === undefined ? '' : lowestUuidV7(after.getTime()),
    below: bounds.sort()[0] ?? ABOVE_ALL,
  };
}

/** The tool that is meant: by its id, as calls of a deleted one stay, or as a call by this name would find it. */
async function findToolId(
  { database }: HistoryContext,
  tool: string,
  userId: string,
): Promise<string | null> {
  const id = parseUuid(tool);
  if (id !== undefined) return id;
  const named = await findNames(database, [tool], userId);
  const found = named.find(({ ownerId }) => ownerId !== null) ?? named[0];
  if (found) return found.id;
  return (await findToolsByAliases(database, [tool], userId)).get(tool)?.id ?? null;
}

function writeCursor(id: string): string {
  return Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url');
}

function readCursor(cursor: string): string {
  const id = parseUuid(Buffer.from(cursor, 'base64url').toString('hex'));
  // Decoding passes over what is not base64url: only the very text that was given out is ours.
  if (id !== undefined && /^.{14}7.{4}[89ab]/.test(id) && writeCursor(id) === cursor) return id;
  throw invalidField('cursor', 'is not one that this service gave out.');
}

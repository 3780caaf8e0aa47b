import type { Caller } from '../caller.ts';
import type { Database } from '../db/database.ts';
import { takeTurns } from '../take-turns.ts';
import type { Tool } from '../tools/tool.ts';
import {
  findSummaries,
  findTools,
  type Page,
  pageOfSummaries,
  type ToolSummary,
} from '../tools/tool-store.ts';
import { queryWords, scoreOf } from './rank.ts';

/** Rows looked at in one go: the event loop is free in between. */
const SLICE = 100;

const MAX_FOUND = 10;

/**
 * Finds the tools that fit a query best among those that the caller may use: their own and the system's. Given ids, it
 * finds just these, and the query only orders them.
 */
export async function searchTools(
  context: { readonly database: Database },
  caller: Caller,
  search: { query: string; ids: readonly string[] },
  signal: AbortSignal,
): Promise<Tool[]> {
  const { database } = context;
  const words = queryWords(search.query);
  const nextTurn = takeTurns();
  let best: Scored[] = [];

  const consider = async (summaries: readonly ToolSummary[], least: number, most: number) => {
    const scored = [...best];
    for (const { id, name, description } of summaries) {
      await nextTurn();
      signal.throwIfAborted();
      const score = scoreOf({ name, description }, words);
      if (score >= least) scored.push({ id, score });
    }
    best = scored.sort((a, b) => b.score - a.score).slice(0, most);
  };

  if (search.ids.length > 0) {
    await consider(await findSummaries(database, search.ids, caller.userId), 0, search.ids.length);
  } else if (words.length > 0) {
    for (const ownerId of caller.userId === null ? [null] : [null, caller.userId]) {
      let after: string | undefined = '';
      while (after !== undefined) {
        const page: Page = { ownerId, after, toolType: undefined, limit: SLICE };
        const slice: ToolSummary[] = await pageOfSummaries(database, page);
        await consider(slice, 1, MAX_FOUND);
        after = slice.length < SLICE ? undefined : slice.at(-1)?.name;
      }
    }
  }
  const ids = best.map(({ id }) => id);
  const tools = new Map((await findTools(database, ids, caller.userId)).map((tool) => [tool.id, tool]));
  return ids.flatMap((id) => tools.get(id) ?? []);
}

type Scored = { readonly id: string; readonly score: number };

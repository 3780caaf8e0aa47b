import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Caller } from '../caller.ts';
import type { Database } from '../db/database.ts';
import type { Tool } from '../tools/tool.ts';
import { findSummaries, findTools, pageOfSummaries, type ToolSummary } from '../tools/tool-store.ts';
import { queryWords, rank } from './rank.ts';

/** Rows looked at in one go: the event loop is free in between. */
const SLICE = 500;

const MAX_FOUND = 10;

/**
 * Finds the tools that fit a query best among those that the caller may use: their own and the system's. Given ids, it
 * finds just these, and the query only orders them.
 */
export async function searchTools(
  context: { readonly database: Database },
  caller: Caller,
  search: { query: string; ids: readonly string[] },
): Promise<Tool[]> {
  const { database } = context;
  const words = queryWords(search.query);
  if (search.ids.length > 0) {
    const summaries = await findSummaries(database, search.ids, caller.userId);
    return inOrder(rank(summaries, words), await findTools(database, search.ids, caller.userId));
  }
  if (words.length === 0) return [];

  let best: { summary: ToolSummary; score: number }[] = [];
  for (const ownerId of caller.userId === null ? [null] : [null, caller.userId]) {
    let after: string | undefined = '';
    while (after !== undefined) {
      const slice: ToolSummary[] = await pageOfSummaries(database, {
        ownerId,
        after,
        toolType: undefined,
        limit: SLICE,
      });
      const found = rank(slice, words).filter(({ score }) => score > 0);
      best = [...best, ...found].sort((a, b) => b.score - a.score).slice(0, MAX_FOUND);
      after = slice.length < SLICE ? undefined : slice.at(-1)?.name;
      if (after !== undefined) await nextTurn();
    }
  }
  const ids = best.map(({ summary }) => summary.id);
  return ids.length === 0 ? [] : inOrder(best, await findTools(database, ids, caller.userId));
}

function inOrder(ranked: readonly { summary: { id: string } }[], tools: readonly Tool[]): Tool[] {
  const byId = new Map(tools.map((tool) => [tool.id, tool]));
  return ranked.flatMap(({ summary }) => byId.get(summary.id) ?? []);
}

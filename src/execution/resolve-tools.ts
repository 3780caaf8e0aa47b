import type { Caller } from '../caller.ts';
import type { Database } from '../db/database.ts';
import { findToolsByAliases } from '../tools/formats/find-by-alias.ts';
import type { Tool } from '../tools/tool.ts';
import { findOnlyOwnedTool, findToolsByNames } from '../tools/tool-store.ts';

/**
 * Finds the tool that each name means for this caller: their own, else the system's, else the one that was given out
 * under this name because a model's API does not allow its own. Who calls from a trusted network for no user at all
 * reaches a user's tool by its own name, where exactly one tool bears it.
 */
export async function resolveTools(
  context: { readonly database: Database },
  caller: Caller,
  names: readonly string[],
): Promise<Map<string, Tool>> {
  const { database } = context;
  const distinct = [...new Set(names)];
  const found = new Map<string, Tool>();
  for (const tool of await findToolsByNames(database, distinct, caller.userId)) {
    if (tool.ownerId !== null || !found.has(tool.name)) found.set(tool.name, tool);
  }
  if (found.size === distinct.length) return found;
  if (caller.kind === 'trusted-network' && caller.userId === null) {
    for (const name of distinct) {
      if (found.has(name)) continue;
      const only = await findOnlyOwnedTool(database, name);
      if (only) found.set(name, only);
    }
  }
  const unknown = distinct.filter((name) => !found.has(name));
  for (const [name, tool] of await findToolsByAliases(database, unknown, caller.userId)) {
    found.set(name, tool);
  }
  return found;
}

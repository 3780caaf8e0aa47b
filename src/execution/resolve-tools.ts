import type { Caller } from '../caller.ts';
import type { Database } from '../db/database.ts';
import type { Tool } from '../tools/tool.ts';
import { findOnlyOwnedTool, findToolsByNames } from '../tools/tool-store.ts';

/**
 * Finds the tool that each name means for this caller: their own, else the system's. Who calls from a trusted network
 * for no user at all reaches a user's tool too, where exactly one tool bears the name.
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
  if (caller.kind === 'trusted-network' && caller.userId === null) {
    for (const name of distinct) {
      if (found.has(name)) continue;
      const only = await findOnlyOwnedTool(database, name);
      if (only) found.set(name, only);
    }
  }
  return found;
}

import type { Database } from '../../db/database.ts';
import { takeTurns } from '../../take-turns.ts';
import { aliasOf, prefixedName, stemOf, suffixedName, unprefixedName } from '../alias.ts';
import type { Tool } from '../tool.ts';
import { findAliases, findNames, findNamesByStem, loadNamed, type ToolNames } from '../tool-store.ts';

/**
 * Finds the tools that were given out under these names, none of which is a tool's own, among the owner's and the
 * system's. A name that could mean several tools means none: each of them was given out under another.
 */
export async function findToolsByAliases(
  database: Database,
  unknown: readonly string[],
  owner: string | null,
): Promise<Map<string, Tool>> {
  const chosen = new Map<string, ToolNames>();
  // A name that is not allowed was never given out.
  let rest = unknown.filter((name) => aliasOf(name) === null);
  if (rest.length === 0) return new Map();
  const settle = (found: ReadonlyMap<string, ToolNames | undefined>) => {
    for (const [name, tool] of found) if (tool) chosen.set(name, tool);
    rest = rest.filter((name) => !found.has(name));
  };
  settle(uniqueByAlias(await findAliases(database, rest, owner)));
  settle(await byUnprefixed(database, rest, owner));
  settle(await bySuffix(database, rest, owner));

  const names = [...chosen.values()];
  const tools = new Map((await loadNamed(database, names, owner)).map((tool) => [tool.id, tool]));
  return new Map(
    [...chosen].flatMap(([name, { id }]) => {
      const tool = tools.get(id);
      return tool ? [[name, tool]] : [];
    }),
  );
}

/** The tools by their aliases; undefined where several have one. */
function uniqueByAlias(tools: readonly ToolNames[]): Map<string, ToolNames | undefined> {
  const unique = new Map<string, ToolNames | undefined>();
  for (const tool of tools) {
    if (tool.alias !== null) unique.set(tool.alias, unique.has(tool.alias) ? undefined : tool);
  }
  return unique;
}

async function byUnprefixed(
  database: Database,
  names: readonly string[],
  owner: string | null,
): Promise<Map<string, ToolNames>> {
  const prefixed = new Map<string, string>();
  for (const name of names) {
    const plain = unprefixedName(name);
    if (plain !== undefined) prefixed.set(plain, name);
  }
  const found = new Map<string, ToolNames>();
  if (prefixed.size === 0) return found;
  const plain = [...prefixed.keys()];
  for (const [alias, tool] of uniqueByAlias(await findAliases(database, plain, owner))) {
    const name = prefixed.get(alias);
    if (name !== undefined && tool) found.set(name, tool);
  }
  // A tool's own name before another's alias, an own tool before the system's.
  const named = await findNames(database, plain, owner);
  for (const tool of named.sort((a, b) => Number(a.ownerId !== null) - Number(b.ownerId !== null))) {
    const name = prefixed.get(tool.name);
    if (name !== undefined) found.set(name, tool);
  }
  return found;
}

async function bySuffix(
  database: Database,
  names: readonly string[],
  owner: string | null,
): Promise<Map<string, ToolNames>> {
  const found = new Map<string, ToolNames>();
  const wanted = new Set(names);
  const looked = new Set<string>();
  const nextTurn = takeTurns();
  for (const name of names) {
    const whole = stemOf(name);
    const bare = whole && unprefixedName(whole.stem);
    for (const stem of [
      whole,
      bare === undefined ? undefined : { stem: bare, isCut: whole?.isCut === true },
    ]) {
      if (!stem || looked.has(stem.stem)) continue;
      looked.add(stem.stem);
      for (const tool of await findNamesByStem(database, stem, owner)) {
        await nextTurn();
        const plain = tool.alias ?? tool.name;
        for (const form of [plain, prefixedName(plain)]) {
          const suffixed = form === undefined ? undefined : suffixedName(form, tool.id);
          if (suffixed !== undefined && wanted.has(suffixed)) found.set(suffixed, tool);
        }
      }
    }
  }
  return found;
}

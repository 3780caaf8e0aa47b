import type { Database } from '../../db/database.ts';
import { aliasOf, prefixedName, suffixedName } from '../alias.ts';
import type { Tool } from '../tool.ts';
import { findAliases, findNames } from '../tool-store.ts';
import type { ToolFormat } from './format.ts';

/**
 * The names under which tools are given out: their own where the format allows them and no other tool that the user may
 * use could be meant. `findToolsByAliases` is the way back.
 *
 * @returns the names by the tools' ids.
 */
export async function exportNames(
  database: Database,
  userId: string | null,
  tools: readonly Tool[],
  format: ToolFormat,
): Promise<Map<string, string>> {
  const plain = new Map(tools.map(({ id, name }) => [id, aliasOf(name) ?? name]));
  const prefixed = [...plain.values()].flatMap((name) => prefixedName(name) ?? []);
  const asked = [...new Set([...plain.values(), ...(format === 'gemini' ? prefixed : [])])];
  const aliased = new Map<string, number>();
  for (const { alias } of await findAliases(database, asked, userId)) {
    if (alias !== null) aliased.set(alias, (aliased.get(alias) ?? 0) + 1);
  }
  const bearers = new Map<string, string>();
  for (const { id, name, ownerId } of await findNames(database, asked, userId)) {
    if (ownerId !== null || !bearers.has(name)) bearers.set(name, id);
  }
  const isTaken = (name: string) => bearers.has(name) || aliased.has(name);

  const nameOf = ({ id, name }: Tool): string => {
    const own = plain.get(id) ?? name;
    const bearer = bearers.get(own);
    const isPlain = bearer === undefined ? aliased.get(own) === 1 : bearer === id;
    const start = format === 'gemini' ? prefixedName(own) : undefined;
    if (start === undefined) return isPlain ? own : suffixedName(own, id);
    return isPlain && !isTaken(start) && start.length === own.length + 1 ? start : suffixedName(start, id);
  };
  return new Map(tools.map((tool) => [tool.id, nameOf(tool)]));
}

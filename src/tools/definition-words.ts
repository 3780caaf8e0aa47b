import { clip } from '../clip.ts';
import { jsonTypeOf } from '../json.ts';
import { escapeToken } from '../json-schema/json-pointer.ts';

/** Longest key of a stranger's that a message shows. */
const MAX_KEY_LENGTH = 100;

/** Words for a fault at a place of a definition, which they name by its JSON pointer (RFC 6901). */
export function faultAt(path: readonly PropertyKey[], words: string): string {
  const tokens = path.map((key) => `/${escapeToken(clip(String(key), MAX_KEY_LENGTH))}`);
  return `${tokens.join('')}: ${words}.`;
}

/** The message for a value that must be something else, at its place. */
export function must(words: string) {
  return {
    error: (issue: { path?: PropertyKey[] | undefined }) => faultAt(issue.path ?? [], `must ${words}`),
  };
}

/** A stranger's value within a message: short, whatever it is. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return clip(value);
  return typeof value === 'object' && value !== null ? jsonTypeOf(value) : String(value ?? null);
}

/** As a message lists what there is to choose from. */
export function quoted(choices: readonly string[]): string {
  return choices.map((choice) => `'${choice}'`).join(' or ');
}

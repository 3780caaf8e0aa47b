/** What a tool is ranked by. */
interface Ranked {
  readonly name: string;
  readonly description: string;
}

/** A word in the name says more of what a tool does than one in its description. */
const NAME_WEIGHT = 2;
const DESCRIPTION_WEIGHT = 1;

const MAX_WORDS = 64;

/** The distinct words of a text: letters and digits, in lower case, camelCase and snake_case taken apart. */
export function queryWords(text: string): string[] {
  return [...wordsOf(text)].slice(0, MAX_WORDS);
}

/** How well a tool fits: by how many of the words its name and its description have. */
export function scoreOf(tool: Ranked, words: readonly string[]): number {
  const name = wordsOf(tool.name);
  const description = wordsOf(tool.description);
  let score = 0;
  for (const word of words) {
    if (name.has(word)) score += NAME_WEIGHT;
    if (description.has(word)) score += DESCRIPTION_WEIGHT;
  }
  return score;
}

function wordsOf(text: string): Set<string> {
  const apart = text.normalize('NFKC').replace(/(\p{Ll}|\d)(\p{Lu})/gu, '$1 $2');
  return new Set(apart.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []);
}

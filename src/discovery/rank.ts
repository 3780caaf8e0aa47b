/** What a tool is ranked by. */
interface Ranked {
  readonly id: string;
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

/** Scores tools by how many of the words they have, best first; equals keep their order. */
export function rank<T extends Ranked>(
  tools: readonly T[],
  words: readonly string[],
): { summary: T; score: number }[] {
  return tools
    .map((summary) => {
      const name = wordsOf(summary.name);
      const description = wordsOf(summary.description);
      let score = 0;
      for (const word of words) {
        if (name.has(word)) score += NAME_WEIGHT;
        if (description.has(word)) score += DESCRIPTION_WEIGHT;
      }
      return { summary, score };
    })
    .sort((a, b) => b.score - a.score);
}

function wordsOf(text: string): Set<string> {
  const apart = text.normalize('NFKC').replace(/(\p{Ll}|\d)(\p{Lu})/gu, '$1 $2');
  return new Set(apart.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []);
}

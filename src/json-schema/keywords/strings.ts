import type { Keywords } from '../compile-context.ts';
import { numberOf, stringOf } from '../compile-context.ts';
import { formats } from '../formats/formats.ts';
import type { Run } from '../run.ts';
import type { Check } from '../schema-node.ts';
import { clip, count } from '../words.ts';

/** Characters of a pattern that a fault repeats. */
const LONGEST_PATTERN = 200;

/** Characters that are counted for a fault. */
const LONGEST_COUNTED = 10_000;

/** The keywords for strings (2020-12 Validation, sections 6.3 and 7). */
export function compileStrings(keywords: Keywords): (Check | undefined)[] {
  return [
    maxLength(keywords),
    minLength(keywords),
    keywords.context.assertFormats ? format(keywords) : undefined,
    pattern(keywords),
  ];
}

function maxLength(keywords: Keywords): Check | undefined {
  const limit = numberOf(keywords, 'maxLength');
  if (limit === undefined) return undefined;
  const expected = () => `a string of at most ${count(limit, 'character')}`;
  return (instance, run) => {
    if (typeof instance !== 'string' || instance.length <= limit) return true;
    const fits = instance.length <= 2 * limit && characters(instance, run) <= limit;
    return fits || run.fail(instance, expected, () => lengthOf(instance));
  };
}

function minLength(keywords: Keywords): Check | undefined {
  const limit = numberOf(keywords, 'minLength');
  if (limit === undefined) return undefined;
  const expected = () => `a string of at least ${count(limit, 'character')}`;
  return (instance, run) => {
    if (typeof instance !== 'string' || instance.length >= 2 * limit) return true;
    const fits = instance.length >= limit && characters(instance, run) >= limit;
    return fits || run.fail(instance, expected, () => lengthOf(instance));
  };
}

function characters(text: string, run: Run): number {
  run.spend(text.length);
  return charactersIn(text);
}

/** Unicode characters, not UTF-16 units (RFC 8259). */
function charactersIn(text: string): number {
  let pairs = 0;
  for (let index = 0; index < text.length; index++) {
    if ((text.codePointAt(index) ?? 0) > 0xffff) {
      pairs++;
      index++;
    }
  }
  return text.length - pairs;
}

function lengthOf(text: string): string {
  if (text.length > 2 * LONGEST_COUNTED) return `a string of over ${LONGEST_COUNTED} characters`;
  return `a string of ${count(charactersIn(text), 'character')}`;
}

function pattern(keywords: Keywords): Check | undefined {
  const source = stringOf(keywords, 'pattern');
  if (source === undefined) return undefined;
  const compiled = keywords.context.patterns.compile(source, `${keywords.node.pointer}/pattern`);
  const expected = () => `a string that matches the pattern ${clip(source, LONGEST_PATTERN)}`;
  return (instance, run) =>
    typeof instance !== 'string' || compiled.test(instance, run) || run.fail(instance, expected);
}

function format(keywords: Keywords): Check | undefined {
  const known = formats.get(stringOf(keywords, 'format') ?? '');
  if (known === undefined) return undefined;
  return (instance, run) => {
    if (typeof instance !== 'string') return true;
    run.spend(20 + instance.length);
    return known.test(instance) || run.fail(instance, () => known.words);
  };
}

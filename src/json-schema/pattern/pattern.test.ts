import { describe, expect, test } from 'vitest';
import { PatternError } from './parse-pattern.ts';
import { compilePattern } from './pattern.ts';

const unlimited = { spend() {} };

/** Pieces of patterns and texts, put together in a fixed random order. */
const ATOMS = [
  'a',
  'b',
  'é',
  '-',
  '[ab]',
  '[^a]',
  '.',
  '\\d',
  '\\w',
  '\\W',
  '\\s',
  '\\p{L}',
  '\\x61',
  '\\u{62}',
  '\\n',
];
const QUANTIFIERS = ['', '', '', '*', '+', '?', '{2}', '{1,3}', '{0}', '{2,}', '*?'];
const ASSERTIONS = ['^', '$', '\\b', '\\B'];
const GROUPS = ['(', '(?:', '(?=', '(?!', '(?<=', '(?<!'];
const CHARACTERS = ['a', 'b', 'é', '-', ' ', '1', '\n', '_', '.'];

function randomizer(seed: number) {
  let state = seed;
  return <T>(items: readonly T[]): T => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    const item = items[(state >>> 8) % items.length];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  };
}

type Pick = ReturnType<typeof randomizer>;

function randomPattern(pick: Pick, depth: number): string {
  const parts = Array.from({ length: pick([1, 2, 3]) }, () => {
    const kind = pick(depth === 0 ? ['atom'] : ['atom', 'atom', 'assertion', 'group']);
    if (kind === 'assertion') return pick(ASSERTIONS);
    if (kind === 'atom') return pick(ATOMS) + pick(QUANTIFIERS);
    const start = pick(GROUPS);
    const body = [randomPattern(pick, depth - 1), randomPattern(pick, depth - 1)]
      .slice(pick([0, 1]))
      .join('|');
    return `${start}${body})${start.length < 3 || start === '(?:' ? pick(QUANTIFIERS) : ''}`;
  });
  return parts.join('');
}

describe('patterns', () => {
  test("match as the engine's own do", () => {
    const pick = randomizer(20);
    const different: string[][] = [];
    for (let round = 0; round < 3_000; round++) {
      const source = randomPattern(pick, 3);
      const pattern = compilePattern(source);
      const expression = new RegExp(source, 'u');
      for (const length of [0, 1, 2, 4, 6]) {
        const text = Array.from({ length }, () => pick(CHARACTERS)).join('');
        if (pattern.test(text, unlimited) !== expression.test(text)) different.push([source, text]);
      }
    }
    expect(different).toEqual([]);
  });

  test.each<[source: string, matching: string[], other: string[]]>([
    ['^\\d{4}-\\d{2}$', ['2024-05'], ['2024-5', '२०२४-०५']],
    ['^🐲*$', ['', '🐲🐲'], ['🐉', 'D']],
    ['^\\ud83d\\udc32$', ['🐲'], ['\ud83d']],
    ['^\\p{Script=Greek}+$', ['αβγ'], ['abc']],
    ['^\\cC$', ['\u0003'], ['C']],
    ['^(?!\\s*$).+', ['a', ' a'], ['', '  ']],
    ['^(?=.*[A-Z])(?=.*\\d).{8,}$', ['Passw0rd'], ['password', 'Pass0']],
    ['(?<=\\$)\\d+', ['costs $5'], ['costs 5']],
    ['^(?<year>\\d{4})$', ['2024'], ['24']],
    ['^[\\b]$', ['\b'], ['b']],
    ['[]', [], ['', 'a']],
    ['^[^]$', ['\n'], ['']],
    ['^.{0,4000}$', ['a'.repeat(4000)], ['a'.repeat(4001)]],
  ])('%s', (source, matching, other) => {
    const pattern = compilePattern(source);
    for (const text of matching) expect(pattern.test(text, unlimited)).toBe(true);
    for (const text of other) expect(pattern.test(text, unlimited)).toBe(false);
  });

  test.each([
    ['(', /Unterminated group/],
    ['a**', /Nothing to repeat/],
    ['\\a', /Invalid escape/],
    ['(?P<n>a)', /Invalid group/],
    ['(a)\\1', /refers back/],
    ['(?<n>a)\\k<n>', /refers back/],
    ['(a{1000}){1000}', /repeats too much/],
    ['(a{99999999999}){0,99999999999}', /repeats too much/],
    ['a'.repeat(2_001), /longer than/],
    ['('.repeat(60) + ')'.repeat(60), /nest/],
  ])('%s is refused', (source, message) => {
    expect(() => compilePattern(source)).toThrow(PatternError);
    expect(() => compilePattern(source)).toThrow(message);
  });

  test('a search pays for what it does', () => {
    let spent = 0;
    const budget = {
      spend(steps: number) {
        spent += steps;
        if (spent > 1_000) throw new RangeError('spent');
      },
    };
    const pattern = compilePattern('^(a+)+$');
    expect(() => pattern.test(`${'a'.repeat(100_000)}!`, budget)).toThrow('spent');
    expect(spent).toBeLessThan(1_100);
    expect(pattern.test('aaa', unlimited)).toBe(true);
  });
});

import { describe, expect, it } from 'vitest';
import type { JsonObject, JsonValue } from '../json.ts';
import { findUnfit } from './check-arguments.ts';

/** Lists, one inside the other. */
function nest(levels: number): JsonValue {
  let value: JsonValue = [];
  for (let level = 1; level < levels; level++) value = [value];
  return value;
}

const many = (length: number, value: JsonValue): JsonValue[] => Array.from({ length }, () => value);
const object = (length: number): JsonObject =>
  Object.fromEntries(Array.from({ length }, (_, index) => [`k${index}`, index]));

describe('unfit arguments', () => {
  const tooMany = 'expected no more than 50000 values';

  it.each<[string, JsonObject, string]>([
    ['numbers', { a: many(50_000, 0) }, tooMany],
    ['empty lists', { a: many(50_000, []) }, tooMany],
    ['keys', object(50_001), tooMany],
    ['members of many lists', { a: many(250, many(200, 0)) }, tooMany],
    ['levels', { a: nest(64) }, 'expected no more than 64 levels of nesting'],
    ['NaN', { a: [1, { 'b/~': Number.NaN }] }, '/a/1/b~1~0: expected a finite number'],
    ['Infinity', { a: -Infinity }, '/a: expected a finite number'],
  ])('are too many, too deep or no JSON: %s', (_, input, words) => {
    expect(findUnfit(input)).toBe(words);
  });

  it('are not those at the limits', () => {
    expect(findUnfit({})).toBeUndefined();
    expect(findUnfit({ a: many(49_999, 0) })).toBeUndefined();
    expect(findUnfit(object(50_000))).toBeUndefined();
    expect(findUnfit({ a: nest(63) })).toBeUndefined();
  });

  it('are found without looking at each of a million', () => {
    const list = new Proxy(many(1_000_000, 0), {
      get(target, key) {
        if (key === 'length') return target.length;
        throw new Error('was looked at');
      },
    });
    expect(findUnfit({ a: list })).toBe(tooMany);
  });

  it('are named in few words', () => {
    expect(findUnfit({ ['k'.repeat(100_000)]: [Number.NaN] })?.length).toBeLessThan(300);
  });
});

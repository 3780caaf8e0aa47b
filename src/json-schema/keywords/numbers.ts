import type { Keywords } from '../compile-context.ts';
import { numberOf } from '../compile-context.ts';
import { isMultipleOf } from '../multiple-of.ts';
import type { Check } from '../schema-node.ts';

type Holds = (value: number, limit: number) => boolean;

/** Steps for one exact division. */
const DIVISION = 300;

/** The keywords for numbers (2020-12 Validation, section 6.2). */
export function compileNumbers(keywords: Keywords): (Check | undefined)[] {
  return [
    compare(keywords, 'minimum', 'a number of at least', (value, limit) => value >= limit),
    compare(keywords, 'exclusiveMinimum', 'a number greater than', (value, limit) => value > limit),
    compare(keywords, 'maximum', 'a number of at most', (value, limit) => value <= limit),
    compare(keywords, 'exclusiveMaximum', 'a number less than', (value, limit) => value < limit),
    multipleOf(keywords),
  ];
}

function compare(keywords: Keywords, keyword: string, words: string, holds: Holds): Check | undefined {
  const limit = numberOf(keywords, keyword);
  if (limit === undefined) return undefined;
  const expected = () => `${words} ${limit}`;
  return (instance, run) =>
    typeof instance !== 'number' || holds(instance, limit) || run.fail(instance, expected);
}

function multipleOf(keywords: Keywords): Check | undefined {
  const divisor = numberOf(keywords, 'multipleOf');
  if (divisor === undefined) return undefined;
  const expected = () => `a multiple of ${divisor}`;
  return (instance, run) => {
    if (typeof instance !== 'number') return true;
    run.spend(DIVISION);
    return (Number.isFinite(instance) && isMultipleOf(instance, divisor)) || run.fail(instance, expected);
  };
}

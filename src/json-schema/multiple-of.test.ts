import { expect, test } from 'vitest';
import { isMultipleOf } from './multiple-of.ts';

test.each<[value: number, divisor: number, expected: boolean]>([
  [10, 2, true],
  [7, 2, false],
  [0, 0.01, true],
  [-0, 3, true],
  [0.3, 0.1, true],
  [19.99, 0.01, true],
  [-4.5, 1.5, true],
  [0.00751, 0.0001, false],
  [1e308, 1e-8, true],
  [1e308, 0.123456789, false],
  [1e308, 1e-300, true],
  [1.7976931348623157e308, 5e-324, true],
  [5e-324, 1.7976931348623157e308, false],
  [2 ** 60, 2, true],
])('%s of %s', (value, divisor, expected) => {
  expect(isMultipleOf(value, divisor)).toBe(expected);
});

import { describe, expect, test } from 'vitest';
import { type AttemptFailure, parseRetryAfter, retryDelay } from './retry.ts';

const FIRST = { attempt: 0, repeatable: false, remainingMs: 10_000, random: () => 0.5 };
const REPEATABLE = { ...FIRST, repeatable: true };

const status = (code: number, retryAfterMs?: number): AttemptFailure => ({
  kind: 'status',
  status: code,
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
});

describe('what is sent again', () => {
  const rows: [failure: AttemptFailure, always: boolean, repeatable: boolean][] = [
    [{ kind: 'not-sent' }, true, true],
    [{ kind: 'broken' }, false, true],
    [{ kind: 'timeout' }, false, false],
    [{ kind: 'other' }, false, false],
    [status(429), false, false],
    [status(429, 0), true, true],
    [status(429, 1000), true, true],
    [status(503), false, false],
    [status(503, 1000), false, true],
    [status(502), false, true],
    [status(504), false, true],
    [status(500), false, false],
    [status(500, 1000), false, false],
    [status(501, 1000), false, false],
    [status(400, 1000), false, false],
    [status(404), false, false],
    [status(408, 1000), false, false],
    [status(409), false, false],
    [status(425, 1000), false, false],
    [status(302, 1000), false, false],
    [status(507, 1000), false, false],
  ];
  test.each(rows)('%j: always %s, where it may be repeated %s', (failure, always, repeatable) => {
    expect(retryDelay(failure, FIRST) !== undefined).toBe(always);
    expect(retryDelay(failure, REPEATABLE) !== undefined).toBe(repeatable);
  });

  test('is sent three times at most', () => {
    for (const failure of [{ kind: 'not-sent' } as const, status(429, 0), status(503, 0), status(502)]) {
      const delays = [0, 1, 2, 3].map((attempt) => retryDelay(failure, { ...REPEATABLE, attempt }));
      expect(delays.map((delay) => delay !== undefined)).toEqual([true, true, false, false]);
    }
  });
});

describe('the wait', () => {
  test('is left to chance, up to a bound that doubles', () => {
    const delay = (attempt: number, random: number) =>
      retryDelay({ kind: 'not-sent' }, { ...FIRST, attempt, random: () => random });
    expect([delay(0, 0), delay(0, 0.5), delay(1, 0.5)]).toEqual([0, 50, 100]);
    expect(delay(1, 0.999_999)).toBeLessThan(200);
  });

  test('is what the upstream asks for, and somewhat longer', () => {
    const delay = (retryAfterMs: number, random: number) =>
      retryDelay(status(429, retryAfterMs), { ...FIRST, random: () => random });
    expect([delay(0, 0), delay(0, 0.5)]).toEqual([0, 50]);
    expect([delay(500, 0), delay(500, 0.5)]).toEqual([500, 550]);
    expect([delay(5000, 0), delay(5000, 0.5)]).toEqual([5000, 5250]);
    expect(retryDelay(status(502, 3000), { ...REPEATABLE, random: () => 0 })).toBe(3000);
  });

  test('is not begun where the deadline would not leave room for the attempt', () => {
    const delay = (failure: AttemptFailure, remainingMs: number) =>
      retryDelay(failure, { ...FIRST, remainingMs, random: () => 0 });
    expect(delay({ kind: 'not-sent' }, 50)).toBe(0);
    expect(delay({ kind: 'not-sent' }, 49)).toBeUndefined();
    expect(delay({ kind: 'not-sent' }, -1)).toBeUndefined();
    expect(delay(status(429, 9000), 9050)).toBe(9000);
    expect(delay(status(429, 9000), 9049)).toBeUndefined();
    expect(delay({ kind: 'not-sent' }, Number.POSITIVE_INFINITY)).toBe(0);
  });
});

describe('Retry-After', () => {
  const now = Date.UTC(1994, 10, 6, 8, 49, 30);
  const rows: [value: string | string[] | undefined, milliseconds: number | undefined][] = [
    ['0', 0],
    ['120', 120_000],
    [' 7 ', 7000],
    [['3', '9'], 3000],
    ['Sun, 06 Nov 1994 08:49:37 GMT', 7000],
    ['Sunday, 06-Nov-94 08:49:37 GMT', 7000],
    ['Sun Nov  6 08:49:37 1994', 7000],
    ['Sun, 06 Nov 1994 08:49:00 GMT', 0],
    [undefined, undefined],
    [[], undefined],
    ['', undefined],
    ['-1', undefined],
    ['1.5', undefined],
    ['1e3', undefined],
    ['0x10', undefined],
    ['Infinity', undefined],
    ['soon', undefined],
    ['1994', 1_994_000],
    ['1994-11-06T08:49:37Z', undefined],
    ['Sun, 99 Nov 1994 08:49:37 GMT', undefined],
    ['9'.repeat(400), undefined],
    [`Sun, ${'9'.repeat(100_000)}`, undefined],
  ];
  test.each(rows)('%s', (value, milliseconds) => {
    expect(parseRetryAfter(value, now)).toBe(milliseconds);
  });
});

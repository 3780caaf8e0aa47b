import { expect, it } from 'vitest';
import { createLocalWindow } from './local-window.ts';

const MINUTE = 60_000;

it('admits again after a window of the new time when the clock was set back', () => {
  const clock = { now: Date.UTC(2031, 0, 1) };
  const window = createLocalWindow({ count: 2, windowMs: MINUTE }, () => clock.now);
  expect([window.take('a'), window.take('a'), window.take('a')]).toEqual([0, 0, 60]);
  clock.now = Date.UTC(2030, 0, 1);
  expect([window.take('a'), window.take('a'), window.take('a')]).toEqual([0, 0, 60]);
  clock.now += MINUTE;
  expect(window.take('a')).toBe(0);
});

it('forgets no more than what lies in the future when the clock was set back by less than a window', () => {
  const clock = { now: Date.UTC(2030, 0, 1) };
  const window = createLocalWindow({ count: 3, windowMs: MINUTE }, () => clock.now);
  expect([window.take('a'), window.take('a')]).toEqual([0, 0]);
  clock.now += 30_000;
  expect([window.take('a'), window.take('a')]).toEqual([0, 30]);
  clock.now -= 10_000;
  expect([window.take('a'), window.take('a')]).toEqual([0, 40]);
});

it('tells what it would answer without counting', () => {
  const window = createLocalWindow({ count: 1, windowMs: MINUTE }, () => Date.UTC(2030, 0, 1));
  expect([window.wait('a'), window.wait('a'), window.take('a'), window.wait('a'), window.wait('b')]).toEqual([
    0, 0, 0, 60, 0,
  ]);
  expect(createLocalWindow(null, () => 0).wait('a')).toBe(0);
});

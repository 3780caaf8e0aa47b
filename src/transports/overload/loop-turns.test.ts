import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { watchLoopTurns } from './loop-turns.ts';

it('tells how long a turn kept the loop from waiting', async () => {
  const ended: number[] = [];
  const turns = watchLoopTurns((busyMs) => ended.push(busyMs));
  await sleep(1);
  const start = performance.now();
  while (performance.now() - start < 60);
  expect(turns.busyMs()).toBeGreaterThanOrEqual(59);
  await sleep(1);
  expect(Math.max(...ended)).toBeGreaterThanOrEqual(59);
  turns.close();
});

it('does not count the time that the loop waited', async () => {
  const turns = watchLoopTurns(() => undefined);
  await sleep(1);
  const start = performance.now();
  await sleep(300);
  // Other work of this process may run meanwhile, but not all of the time.
  expect(turns.busyMs()).toBeLessThan(performance.now() - start - 100);
  turns.close();
});

it('ends with its closing', async () => {
  let ended = 0;
  const turns = watchLoopTurns(() => ended++);
  await sleep(1);
  turns.close();
  const before = ended;
  await sleep(5);
  expect(ended).toBe(before);
});

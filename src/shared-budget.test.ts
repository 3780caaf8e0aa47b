import { expect, it } from 'vitest';
import { createSharedBudget } from './shared-budget.ts';

it('gives out no more than there is, and has it again once it is given back', () => {
  const memory = createSharedBudget({ total: 10, perUser: 10 });
  expect([memory.take(8), memory.take(3), memory.take(2), memory.taken]).toEqual([true, false, true, 10]);
  memory.give(8);
  expect([memory.take(3), memory.taken]).toEqual([true, 5]);
});

it('lets one user have a share, over all of its accounts, and others theirs', () => {
  const memory = createSharedBudget({ total: 10, perUser: 6 });
  const [first, second, other] = [memory.open('a'), memory.open('a'), memory.open('b')];
  expect([first.take(4), second.take(3), second.take(2)]).toEqual([true, false, true]);
  expect([other.take(5), other.take(4)]).toEqual([false, true]);
  expect(memory.taken).toBe(10);
});

it('gives all of an account back when it closes, once', () => {
  const memory = createSharedBudget({ total: 10, perUser: 6 });
  const [first, second] = [memory.open('a'), memory.open('a')];
  first.take(4);
  second.take(2);
  first.close();
  first.close();
  first.give(4);
  expect([memory.taken, first.take(1), second.take(4), memory.taken]).toEqual([2, false, true, 6]);
  second.close();
  expect([memory.taken, memory.open('a').take(6)]).toEqual([0, true]);
});

import { expect, it } from 'vitest';
import { createLocalWindow } from '../transports/throttle/local-window.ts';
import { createPeer } from './peer.ts';
import { createSharedCounter } from './shared-counter.ts';
import { createTestChannels } from './test-channel.ts';

const limit = { count: 10, windowMs: 60_000 };
const createWindow = () => createLocalWindow(limit, () => 0);

/** Workers that share the windows of one primary. */
function startPrimary() {
  const windows = createWindow();
  const faults: unknown[] = [];
  const asked: string[] = [];
  const state = { isStuck: false };
  const worker = () => {
    const [near, far] = createTestChannels();
    createPeer(far).handle('count', (key) => {
      if (state.isStuck) return new Promise(() => {});
      asked.push(String(key));
      return windows.take(String(key));
    });
    const counter = createSharedCounter(createPeer(near), 'count', createWindow(), (fault) =>
      faults.push(fault),
    );
    return { counter, end: () => far.close() };
  };
  return { worker, faults, asked, state };
}

it('admits as many in all workers together as in one', async () => {
  const primary = startPrimary();
  const workers = [primary.worker(), primary.worker(), primary.worker(), primary.worker()];
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, index) => workers[index % 4]?.counter.take('user')),
  );
  expect(answers.filter((seconds) => seconds === 0)).toHaveLength(10);
  expect(await workers[0]?.counter.take('other')).toBe(0);
  expect(primary.faults).toEqual([]);
});

it('counts by itself while the primary is stuck, without waiting each time, and says so once', async () => {
  const primary = startPrimary();
  const { counter } = primary.worker();
  for (let count = 0; count < 4; count++) expect(await counter.take('user')).toBe(0);
  primary.state.isStuck = true;
  const start = performance.now();
  const answers: number[] = [];
  for (let count = 0; count < 20; count++) answers.push(await counter.take('user'));
  expect(performance.now() - start).toBeLessThan(900);
  // Four were counted before.
  expect(answers.filter((seconds) => seconds === 0)).toHaveLength(6);
  expect(primary.faults).toHaveLength(1);
});

it('counts by itself when the primary is gone', async () => {
  const primary = startPrimary();
  const { counter, end } = primary.worker();
  end();
  expect(await counter.take('user')).toBe(0);
  expect(primary.faults).toHaveLength(1);
});

it('asks no more for a key that this worker alone has brought to its limit', async () => {
  const primary = startPrimary();
  const { counter } = primary.worker();
  const answers: number[] = [];
  for (let count = 0; count < 20; count++) answers.push(await counter.take('user'));
  expect(answers.filter((seconds) => seconds === 0)).toHaveLength(10);
  expect(primary.asked).toHaveLength(10);
});

it('counts only what was admitted', async () => {
  const primary = startPrimary();
  const [one, two] = [primary.worker(), primary.worker()];
  for (let count = 0; count < 4; count++) expect(await two.counter.take('user')).toBe(0);
  const answers: number[] = [];
  for (let count = 0; count < 20; count++) answers.push(await one.counter.take('user'));
  expect(answers.filter((seconds) => seconds === 0)).toHaveLength(6);
  primary.state.isStuck = true;
  // What the primary refused is not held against the key here.
  for (let count = 0; count < 4; count++) expect(await one.counter.take('user')).toBe(0);
  expect(primary.faults).toHaveLength(1);
  expect(await one.counter.take('user')).toBeGreaterThan(0);
});

it('does not take an event loop of its own that was blocked for a primary that is away', async () => {
  const primary = startPrimary();
  const { counter } = primary.worker();
  const answers: (number | Promise<number>)[] = [];
  for (let round = 0; round < 4; round++) {
    answers.push(...Array.from({ length: 5 }, () => counter.take('user')));
    // The questions are on their way, and their answers not yet read.
    await new Promise((resolve) => setImmediate(resolve));
    const end = performance.now() + 300;
    while (performance.now() < end);
  }
  const seconds = await Promise.all(answers);
  expect(seconds.filter((each) => each === 0)).toHaveLength(10);
  expect(primary.faults).toEqual([]);
});

it('asks the primary again once it answers', async () => {
  const primary = startPrimary();
  const { counter } = primary.worker();
  primary.state.isStuck = true;
  expect(await counter.take('user')).toBe(0);
  primary.state.isStuck = false;
  let count = 0;
  await expect
    .poll(async () => [await counter.take(`user-${++count}`), primary.asked.length], { timeout: 5000 })
    .toEqual([0, 1]);
  expect(primary.faults).toHaveLength(1);
});

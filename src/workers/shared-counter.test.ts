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
  const state = { isStuck: false };
  const worker = () => {
    const [near, far] = createTestChannels();
    createPeer(far).handle('count', (key) =>
      state.isStuck ? new Promise(() => {}) : windows.take(String(key)),
    );
    const counter = createSharedCounter(createPeer(near), 'count', createWindow(), (fault) =>
      faults.push(fault),
    );
    return { counter, end: () => far.close() };
  };
  return { worker, faults, state };
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

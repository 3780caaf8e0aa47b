import { describe, expect, it } from 'vitest';
import type { Database } from '../../db/database.ts';
import { keyedCall, success, testEncryption } from './idempotency-for-tests.ts';
import { createEndings } from './store-endings.ts';

/** The endings of a process whose database is away until it is told otherwise. */
function testEndings() {
  const state = { isDown: true, attempts: 0, stored: 0 };
  const faults: unknown[] = [];
  const transaction = async () => {
    state.attempts++;
    if (state.isDown) throw new Error('away');
    state.stored++;
  };
  const endings = createEndings({
    database: { transaction } as unknown as Database,
    encryption: testEncryption(),
    logFault: (error) => faults.push(error),
    oldUntil: () => 0,
  });
  const store = (output = '1') => {
    const { argumentsHash, ...place } = keyedCall();
    return endings.store({ ...place, run: 'run' }, 1, { outcome: success(output) });
  };
  return { ...endings, state, faults, store };
}

describe('what cannot be stored at once', () => {
  it('waits for the database, a bounded number, which the log hears of once', async () => {
    const { store, state, faults, hurry } = testEndings();
    const storing = Array.from({ length: 1002 }, () => store());
    await expect.poll(() => faults, { interval: 10, timeout: 5000 }).toHaveLength(3);
    const givenUp = new Error('the ending of a run with an idempotency key was not stored');
    expect(faults).toEqual([new Error('away'), givenUp, givenUp]);
    state.isDown = false;
    hurry();
    await Promise.all(storing);
    expect(state.stored).toBe(1000);
    expect(faults).toHaveLength(3);
  });

  it('waits with a bounded number of characters', async () => {
    const { store, state, faults, close } = testEndings();
    const output = 'x'.repeat(1024 * 1024);
    const storing = Array.from({ length: 30 }, () => store(output));
    // Of each, its output and that output encrypted: 27 fit into 64 Mi.
    await expect.poll(() => faults, { interval: 10, timeout: 5000 }).toHaveLength(1 + 3);
    close();
    await Promise.all(storing);
    expect([faults.length, state.stored]).toEqual([1 + 30, 0]);
  });

  it('is tried at once when there is not much time left', async () => {
    const { store, state, hurry, close } = testEndings();
    const storing = store();
    // The next pause is a long one.
    await expect.poll(() => state.attempts, { interval: 10, timeout: 5000 }).toBe(4);
    const start = performance.now();
    state.isDown = false;
    hurry();
    await storing;
    expect(state).toMatchObject({ attempts: 5, stored: 1 });
    expect(performance.now() - start).toBeLessThan(600);
    close();
  });
});

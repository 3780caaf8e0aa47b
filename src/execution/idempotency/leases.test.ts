import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLeases } from './leases.ts';

describe('createLeases', () => {
  beforeEach(() => {
    // Only what renews: other files' leftovers may have timers of their own.
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Work that ends when told to. */
  const openWork = () => {
    let end = () => {};
    const done = new Promise<void>((resolve) => {
      end = resolve;
    });
    return { work: () => done, end };
  };

  it('renews all runs at once, since the first of them, and has a timer only while there are any', async () => {
    const renew = vi.fn(async () => {});
    const leases = createLeases({ renew, everyMs: 100, logFault: () => {} });
    expect(vi.getTimerCount()).toBe(0);
    const [one, two] = [openWork(), openWork()];
    const first = leases.hold('one', 20, one.work);
    const second = leases.hold('two', 10, two.work);
    await vi.advanceTimersByTimeAsync(100);
    expect(renew.mock.calls).toEqual([[['one', 'two'], 10]]);
    two.end();
    await second;
    await vi.advanceTimersByTimeAsync(100);
    expect(renew.mock.calls.slice(1)).toEqual([[['one'], 20]]);
    one.end();
    await first;
    expect(vi.getTimerCount()).toBe(0);
  });

  it('logs a failure once and goes on, and never asks twice at a time', async () => {
    const faults: unknown[] = [];
    const slow = openWork();
    const renew = vi.fn(slow.work).mockRejectedValueOnce('busy').mockRejectedValueOnce('still busy');
    const leases = createLeases({ renew, everyMs: 100, logFault: (error) => faults.push(error) });
    const { work, end } = openWork();
    const held = leases.hold('one', 10, work);
    await vi.advanceTimersByTimeAsync(500);
    expect(faults).toEqual(['busy']);
    expect(renew).toHaveBeenCalledTimes(3);
    slow.end();
    await vi.advanceTimersByTimeAsync(100);
    expect(renew).toHaveBeenCalledTimes(4);
    end();
    await held;
  });
});

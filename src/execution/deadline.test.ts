import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { withDeadline } from './deadline.ts';

describe('withDeadline', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const untilAborted = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

  it('aborts with a TimeoutError when the time is up', async () => {
    const parent = new AbortController();
    const failure = expect(withDeadline(parent.signal, 100, untilAborted)).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    await vi.advanceTimersByTimeAsync(100);
    await failure;
  });

  it('aborts with its parent, before or while it runs', async () => {
    const parent = new AbortController();
    const failure = expect(withDeadline(parent.signal, 100, untilAborted)).rejects.toBe('gone');
    parent.abort('gone');
    await failure;
    await expect(withDeadline(parent.signal, 100, async ({ reason }) => reason)).resolves.toBe('gone');
  });

  it('leaves no timer and no listener behind', async () => {
    const parent = new AbortController();
    await withDeadline(parent.signal, 100, async () => 'done');
    expect(vi.getTimerCount()).toBe(0);
    expect(getEventListeners(parent.signal, 'abort')).toEqual([]);
  });
});

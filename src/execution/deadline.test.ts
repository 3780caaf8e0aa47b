import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Cancellation } from '../cancellation.ts';
import { withDeadline } from './deadline.ts';

describe('withDeadline', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const untilAborted = (cancellation: Cancellation) =>
    new Promise<never>((_, reject) => cancellation.onAbort(() => reject(cancellation.reason)));

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

  it('leaves no timer behind, and one listener for however many', async () => {
    const parent = new AbortController();
    let ended: Cancellation | undefined;
    for (let time = 0; time < 3; time++) {
      await withDeadline(parent.signal, 100, async (cancellation) => {
        ended = cancellation;
      });
    }
    expect(vi.getTimerCount()).toBe(0);
    expect(getEventListeners(parent.signal, 'abort').length).toBe(1);
    parent.abort();
    expect(ended?.aborted).toBe(false);
  });

  it('is an AbortSignal for who asks for one, before or after it aborted', async () => {
    const parent = new AbortController();
    await withDeadline(parent.signal, 100, async (cancellation) => {
      const { signal } = cancellation;
      expect([signal.aborted, cancellation.signal === signal]).toEqual([false, true]);
      parent.abort('gone');
      expect([signal.aborted, signal.reason]).toEqual([true, 'gone']);
    });
    await withDeadline(parent.signal, 100, async ({ signal }) => {
      expect([signal.aborted, signal.reason]).toEqual([true, 'gone']);
    });
  });
});

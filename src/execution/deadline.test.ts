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

  it('leaves no timer behind, and one listener for however many', async () => {
    const parent = new AbortController();
    let ended: AbortSignal | undefined;
    for (let time = 0; time < 3; time++) {
      await withDeadline(parent.signal, 100, async (signal) => {
        ended = signal;
      });
    }
    expect(vi.getTimerCount()).toBe(0);
    expect(getEventListeners(parent.signal, 'abort').length).toBe(1);
    parent.abort();
    expect(ended?.aborted).toBe(false);
  });
});

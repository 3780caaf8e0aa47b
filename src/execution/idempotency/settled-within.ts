/**
 * Waits until a promise settles, whichever way, for at most `limitMs`, and no longer than until the signal aborts. Leaves
 * no timer and no listener behind.
 */
export function settledWithin(
  promise: Promise<unknown>,
  limitMs: number,
  signal?: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, limitMs);
    signal?.addEventListener('abort', end);
    promise.then(end, end);
    if (signal?.aborted) end();
  });
}

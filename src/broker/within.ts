/** What was waited for did not come in time. */
export class LateError extends Error {
  override readonly name = 'LateError';
}

/**
 * Waits for a promise for at most `limitMs`, then rejects with `LateError`. What becomes of the promise after that
 * concerns nobody: its rejection is not unhandled.
 */
export function within<T>(promise: Promise<T>, limitMs: number): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(new LateError(`no answer within ${limitMs} ms`)), limitMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

import { type Cancellation, createCancellation, onAbort } from '../cancellation.ts';

/**
 * Runs work that is called off when `parent` aborts, or after `timeoutMs` with a TimeoutError as its reason. Leaves no
 * timer behind: `parent` may live long and have many such children.
 */
export async function withDeadline<T>(
  parent: AbortSignal,
  timeoutMs: number,
  work: (cancellation: Cancellation) => Promise<T>,
): Promise<T> {
  const { cancellation, abort } = createCancellation();
  if (parent.aborted) abort(parent.reason);
  const stopListening = onAbort(parent, () => abort(parent.reason));
  const timer = setTimeout(() => {
    abort(new DOMException('The time for this call is up', 'TimeoutError'));
  }, timeoutMs);
  try {
    return await work(cancellation);
  } finally {
    clearTimeout(timer);
    stopListening();
  }
}

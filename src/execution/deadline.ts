import { onAbort } from '../on-abort.ts';

/**
 * Runs work under a signal that aborts when `parent` does, or after `timeoutMs` with a TimeoutError as its reason.
 * Leaves no timer behind: `parent` may live long and have many such children.
 */
export async function withDeadline<T>(
  parent: AbortSignal,
  timeoutMs: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  if (parent.aborted) controller.abort(parent.reason);
  const stopListening = onAbort(parent, () => controller.abort(parent.reason));
  const timer = setTimeout(() => {
    controller.abort(new DOMException('The time for this call is up', 'TimeoutError'));
  }, timeoutMs);
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
    stopListening();
  }
}

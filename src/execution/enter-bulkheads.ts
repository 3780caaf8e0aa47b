import { callerKey } from '../caller.ts';
import type { Cancellation } from '../cancellation.ts';
import { CallError, type CallScope } from './call.ts';
import type { ExecutionContext } from './context.ts';
import { BulkheadFull } from './resilience/bulkheads.ts';

/**
 * Waits until the process, the caller and the host have room for one more.
 *
 * @param host of a call to the outside.
 * @returns what gives the place back.
 * @throws CallError `resource_exhausted` when too many calls wait already, `timeout` or `canceled` while it waits.
 */
export async function enterBulkheads(
  { bulkheads }: Pick<ExecutionContext, 'bulkheads'>,
  host: string | undefined,
  { caller, cancellation }: Pick<CallScope, 'caller' | 'cancellation'>,
): Promise<() => void> {
  try {
    return await bulkheads.enter({ user: callerKey(caller), host }, cancellation);
  } catch (error) {
    if (error instanceof BulkheadFull) {
      const words = 'Too many calls are waiting already. Call fewer tools at once, or again later.';
      throw new CallError('resource_exhausted', words, { mayHaveRun: false });
    }
    if (!cancellation.aborted) throw error;
    throw notSent(cancellation);
  }
}

/** The time was up, or the caller gone, before anything was sent. */
export function notSent({ reason }: Pick<Cancellation, 'reason'>): CallError {
  const isTimeout = reason instanceof DOMException && reason.name === 'TimeoutError';
  return isTimeout
    ? new CallError('timeout', 'The time for the call was up before it could be sent.', { mayHaveRun: false })
    : new CallError('canceled', 'The call was canceled before it was sent.', { mayHaveRun: false });
}

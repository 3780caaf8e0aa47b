import { callerKey } from '../caller.ts';
import type { Cancellation } from '../cancellation.ts';
import type { Tool } from '../tools/tool.ts';
import { CallError } from './call.ts';
import { confirmTool, isSeenLately, type ResolvedScope } from './confirm-tool.ts';
import type { ExecutionContext } from './context.ts';
import { BulkheadFull, type Bulkheads } from './resilience/bulkheads.ts';

/**
 * Waits until the process, the caller and the host have room for one more. A tool that was deleted or changed while its
 * call waited, or whose caller was deleted, does not get the place.
 *
 * @param host of a call to the outside.
 * @returns what gives the place back.
 * @throws CallError `resource_exhausted` when too many calls wait already, `timeout` or `canceled` while it waits, and what
 * `confirmTool` throws.
 */
export async function enterBulkheads(
  context: Pick<ExecutionContext, 'bulkheads' | 'database' | 'logFault'>,
  tool: Tool,
  host: string | undefined,
  scope: ResolvedScope,
): Promise<() => void> {
  const { bulkheads } = context;
  const { waiting } = bulkheads;
  const entering = enter(bulkheads, host, scope);
  // Whether this call waits is known at once: nothing else ran in between.
  const hasWaited = bulkheads.waiting > waiting;
  const leave = await entering;
  if (!hasWaited && isSeenLately(scope)) return leave;
  try {
    await confirmTool(context, tool, scope);
    if (scope.cancellation.aborted) throw notSent(scope.cancellation);
    return leave;
  } catch (error) {
    leave();
    throw error;
  }
}

async function enter(
  bulkheads: Bulkheads,
  host: string | undefined,
  { caller, cancellation }: Pick<ResolvedScope, 'caller' | 'cancellation'>,
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

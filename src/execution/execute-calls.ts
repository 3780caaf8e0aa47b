import { setMaxListeners } from 'node:events';
import { type Caller, callerKey } from '../caller.ts';
import { onAbort } from '../cancellation.ts';
import { ServiceError } from '../errors.ts';
import type { Account } from '../shared-budget.ts';
import { takeTurns } from '../take-turns.ts';
import type { TraceContext } from '../tracing/trace-context.ts';
import type { CallOutcome, CallResult, ToolCall } from './call.ts';
import type { ExecutionContext } from './context.ts';
import { resolveTools } from './resolve-tools.ts';
import { runCall } from './run-call.ts';

/** Of which request calls are part. */
export interface RequestScope {
  /** Aborts when the caller is gone, its time is up (the reason is a TimeoutError then), or the service stops. */
  readonly signal: AbortSignal;
  readonly requestId: string;
  /** When the request's time is up, by the clock of `performance.now()`; Infinity where it has no end. */
  readonly endsAt: number;
  /** The span of the request, or what its caller sent. */
  readonly trace: TraceContext | undefined;
  /**
   * Calls `release` once the answer has left the process, or nobody waits for it any more: until then its outputs count
   * as held. When left out, they count until the results are taken.
   */
  readonly onAnswered?: (release: () => void) => void;
}

/** A result, and what its output takes of the memory for outputs, in bytes. */
interface HeldResult {
  readonly result: CallResult;
  readonly bytes: number;
}

const TOO_MANY: CallOutcome = {
  status: 'error',
  output: 'Too many calls are under way already. Call fewer tools at once, or again later.',
  errorCode: 'resource_exhausted',
};

const NO_MEMORY: CallOutcome = {
  status: 'error',
  output:
    'The tool has run, but its output is lost: too many outputs wait to be read already. Check before you call again.',
  errorCode: 'resource_exhausted',
};

/**
 * Runs calls in parallel, each on its own: one that fails or hangs does not touch the others.
 *
 * @returns a result for each call, in the order of the calls.
 * @throws ServiceError `invalid_argument` when there are more calls than allowed.
 */
export async function executeCalls(
  context: ExecutionContext,
  caller: Caller,
  calls: readonly ToolCall[],
  scope: RequestScope,
): Promise<CallResult[]> {
  const { held, memory } = await startCalls(context, caller, calls, scope);
  try {
    const results: CallResult[] = [];
    for await (const { result } of held) results[result.index] = result;
    return results;
  } finally {
    if (!scope.onAnswered) memory.close();
  }
}

/**
 * As `executeCalls`, with each result as soon as it is there; its output counts as held until the one after the next is
 * asked for, since a reader may ask for one ahead. The calls run whether or not anybody reads; who leaves early aborts the
 * scope's signal.
 */
export async function streamCalls(
  context: ExecutionContext,
  caller: Caller,
  calls: readonly ToolCall[],
  scope: RequestScope,
): Promise<AsyncIterable<CallResult>> {
  const { held, memory } = await startCalls(context, caller, calls, scope);
  return givingBack(held, memory, scope);
}

async function* givingBack(
  held: AsyncIterable<HeldResult>,
  memory: Account,
  scope: RequestScope,
): AsyncGenerator<CallResult> {
  let leaving = 0;
  try {
    for await (const { result, bytes } of held) {
      yield result;
      memory.give(leaving);
      leaving = bytes;
    }
  } finally {
    if (!scope.onAnswered) memory.close();
  }
}

/** @returns the results as they are done, and what their outputs are held in, to be closed. */
async function startCalls(
  context: ExecutionContext,
  caller: Caller,
  calls: readonly ToolCall[],
  request: RequestScope,
): Promise<{ held: AsyncIterable<HeldResult>; memory: Account }> {
  const { callsPerRequest, outputBytes } = context.limits;
  if (calls.length > callsPerRequest) throw tooManyCalls(callsPerRequest);
  // Each call listens for the end of the request; Node would take so many listeners for a leak.
  setMaxListeners(0, request.signal);
  const resolvedAt = performance.now();
  const tools = await resolveTools(
    context,
    caller,
    calls.map(({ name }) => name),
  );
  const memory = context.memory.open(callerKey(caller));
  request.onAnswered?.(memory.close);
  onAbort(request.signal, memory.close);
  if (request.signal.aborted) memory.close();
  const underWay = context.callsUnderWay.open(callerKey(caller));
  const scope = { ...request, caller, resolvedAt, budget: { bytes: outputBytes }, memory };
  const done = createQueue<HeldResult>(calls.length);

  const run = async (call: ToolCall, index: number) => {
    if (!underWay.take(1)) {
      context.metrics.execution({ kind: 'none', outcome: 'resource_exhausted' }, 0);
      const result = { ...TOO_MANY, toolCallId: call.id, name: call.name, index, durationMs: 0 };
      return done.add({ result, bytes: 0 });
    }
    try {
      done.add(hold(await runCall(context, tools.get(call.name), call, index, scope), memory));
    } catch (error) {
      done.fail(error);
    } finally {
      underWay.give(1);
    }
  };
  const start = async () => {
    const running: Promise<void>[] = [];
    const nextTurn = takeTurns();
    for (const [index, call] of calls.entries()) {
      // Compiling and checking many never holds up other requests.
      await nextTurn();
      running.push(run(call, index));
    }
    await Promise.all(running);
    underWay.close();
  };
  start().catch(done.fail);
  return { held: done.items, memory };
}

/** Takes memory for an output; where there is none, the result says so instead. The words of an error need none. */
function hold(result: CallResult, memory: Account): HeldResult {
  const bytes = Buffer.byteLength(result.output);
  if (memory.take(bytes)) return { result, bytes };
  return { result: result.status === 'error' ? result : { ...result, ...NO_MEMORY }, bytes: 0 };
}

/** A request has more calls than allowed. */
export function tooManyCalls(limit: number): ServiceError {
  const message = `tool_calls must have no more than ${limit} entries (MAX_CALLS_PER_REQUEST).`;
  return new ServiceError('invalid_argument', message, { fields: { tool_calls: [message] } });
}

/** So many items as they are added, for one reader. */
function createQueue<T>(count: number) {
  const added: T[] = [];
  let failure: { readonly error: unknown } | undefined;
  let wake = () => {};
  async function* read(): AsyncGenerator<T> {
    for (let given = 0; given < count; given++) {
      while (added.length === 0 && !failure) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      if (failure) throw failure.error;
      yield added.shift() as T;
    }
  }
  return {
    items: read(),
    add(item: T) {
      added.push(item);
      wake();
    },
    fail(error: unknown) {
      failure ??= { error };
      wake();
    },
  };
}

import { setMaxListeners } from 'node:events';
import type { Caller } from '../caller.ts';
import { ServiceError } from '../errors.ts';
import { takeTurns } from '../take-turns.ts';
import type { TraceContext } from '../tracing/trace-context.ts';
import type { CallResult, ToolCall } from './call.ts';
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
}

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
  const results: CallResult[] = [];
  for await (const result of await streamCalls(context, caller, calls, scope)) results[result.index] = result;
  return results;
}

/**
 * As `executeCalls`, with each result as soon as it is there. The calls run whether or not anybody reads; who leaves
 * early aborts the scope's signal.
 */
export async function streamCalls(
  context: ExecutionContext,
  caller: Caller,
  calls: readonly ToolCall[],
  request: RequestScope,
): Promise<AsyncIterable<CallResult>> {
  const { callsPerRequest, outputBytes } = context.limits;
  if (calls.length > callsPerRequest) throw tooManyCalls(callsPerRequest);
  // Each call listens for the end of the request; Node would take so many listeners for a leak.
  setMaxListeners(0, request.signal);
  const tools = await resolveTools(
    context,
    caller,
    calls.map(({ name }) => name),
  );
  const scope = { ...request, caller, budget: { bytes: outputBytes } };
  const done = createQueue<CallResult>(calls.length);
  const start = async () => {
    const nextTurn = takeTurns();
    for (const [index, call] of calls.entries()) {
      // Compiling and checking many never holds up other requests.
      await nextTurn();
      runCall(context, tools.get(call.name), call, index, scope).then(done.add, done.fail);
    }
  };
  start().catch(done.fail);
  return done.items;
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

import { setMaxListeners } from 'node:events';
import type { Caller } from '../caller.ts';
import { clip } from '../clip.ts';
import type { Database } from '../db/database.ts';
import type { EgressClient } from '../egress/egress-client.ts';
import type { Encryption } from '../encryption.ts';
import { ServiceError } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import { type CompiledSchema, compileSchema } from '../json-schema/compile-schema.ts';
import type { LruCache } from '../lru-cache.ts';
import type { Metrics } from '../metrics.ts';
import { takeTurns } from '../take-turns.ts';
import type { Tool } from '../tools/tool.ts';
import {
  CallError,
  type CallOutcome,
  type CallResult,
  type CallScope,
  type InternalFunction,
  type ToolCall,
} from './call.ts';
import { checkArguments } from './check-arguments.ts';
import { withDeadline } from './deadline.ts';
import { resolveTools } from './resolve-tools.ts';
import { runWebhook, type WebhookExecution } from './run-webhook.ts';

/** What running calls needs from the rest of the service. */
export interface ExecutionContext {
  readonly database: Database;
  readonly encryption: Encryption;
  readonly egress: EgressClient;
  readonly internalFunctions: ReadonlyMap<string, InternalFunction>;
  /** What of a tool is worked out once for many calls, by its id and revision. */
  readonly preparedTools: LruCache<PreparedTool>;
  readonly metrics: Pick<Metrics, 'execution'>;
  /** Where a fault of ours is told, with its cause. */
  readonly logFault: (error: unknown, details: { requestId: string; toolId: string }) => void;
  readonly limits: {
    readonly callsPerRequest: number;
    /** For a whole call, in milliseconds. */
    readonly timeoutMs: number;
    readonly responseBytes: number;
    /** For the outputs of all calls of a request together. */
    readonly outputBytes: number;
  };
}

/** Calls of one request that run at the same time; the others wait for them. */
const MAX_PARALLEL_CALLS = 256;

/** How a tool runs, and the check of its arguments. */
export type PreparedTool = {
  readonly schema: CompiledSchema;
  readonly execution: Execution;
  /** Characters of the definition that it was made of. */
  readonly size: number;
};
type Execution = WebhookExecution | { readonly type: 'internal_function' };

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
  { signal, requestId }: { signal: AbortSignal; requestId: string },
): Promise<CallResult[]> {
  const { callsPerRequest } = context.limits;
  if (calls.length > callsPerRequest) throw tooManyCalls(callsPerRequest);
  // Each call listens for the end of the request; Node would take so many listeners for a leak.
  setMaxListeners(0, signal);
  const tools = await resolveTools(
    context,
    caller,
    calls.map(({ name }) => name),
  );
  const scope = { caller, requestId, signal, budget: { bytes: context.limits.outputBytes } };
  const results: CallResult[] = [];
  const waiting = calls.entries();
  const nextTurn = takeTurns();
  // Each of these takes call after call: so many run at once, and compiling and checking never holds up other requests.
  const work = async () => {
    for (const [index, call] of waiting) {
      await nextTurn();
      results[index] = await runCall(context, tools.get(call.name), call, scope);
    }
  };
  await Promise.all(Array.from({ length: Math.min(calls.length, MAX_PARALLEL_CALLS) }, work));
  return results;
}

/** A request has more calls than allowed. */
export function tooManyCalls(limit: number): ServiceError {
  const message = `tool_calls must have no more than ${limit} entries (MAX_CALLS_PER_REQUEST).`;
  return new ServiceError('invalid_argument', message, { fields: { tool_calls: [message] } });
}

async function runCall(
  context: ExecutionContext,
  tool: Tool | undefined,
  call: ToolCall,
  scope: CallScope,
): Promise<CallResult> {
  const start = performance.now();
  let outcome = tool ? await executeCall(context, tool, call, scope) : toolNotFound(call.name);
  if (outcome.output.length > scope.budget.bytes) outcome = TOO_MUCH;
  scope.budget.bytes -= outcome.output.length;
  const durationMs = performance.now() - start;
  context.metrics.execution(
    { kind: tool ? kindOf(tool) : 'none', outcome: outcome.errorCode ?? 'success' },
    durationMs / 1000,
  );
  return { toolCallId: call.id, name: call.name, ...outcome, durationMs: Math.round(durationMs) };
}

const TOO_MUCH: CallOutcome = {
  status: 'error',
  output: 'The outputs of all calls of this request together are too large. Call fewer tools at once.',
  errorCode: 'response_too_large',
};

async function executeCall(
  context: ExecutionContext,
  tool: Tool,
  call: ToolCall,
  scope: CallScope,
): Promise<CallOutcome> {
  try {
    const { schema, execution } = context.preparedTools.getOrMake(`${tool.id}:${tool.revision}`, () =>
      prepare(tool),
    );
    checkArguments(schema, call.arguments);
    const timeoutMs = Math.min(timeoutOf(execution) ?? context.limits.timeoutMs, call.timeoutMs || Infinity);
    const output = await withDeadline(scope.signal, timeoutMs, (signal) =>
      run(context, tool, execution, call.arguments, { ...scope, signal }),
    );
    return { status: 'success', output };
  } catch (error) {
    if (error instanceof CallError) return { status: 'error', output: error.message, errorCode: error.code };
    if (scope.signal.aborted || isTimeout(error)) return ended(error);
    context.logFault(error, { requestId: scope.requestId, toolId: tool.id });
    return { status: 'error', output: 'The tool failed by an internal error.', errorCode: 'internal' };
  }
}

async function run(
  context: ExecutionContext,
  tool: Tool,
  execution: Execution,
  input: JsonObject,
  scope: CallScope,
): Promise<string> {
  switch (execution.type) {
    case 'webhook':
      return runWebhook(context, tool, execution, input, scope);
    case 'internal_function': {
      const internal = context.internalFunctions.get(tool.pointer ?? '');
      if (!internal) throw new CallError('internal', 'The function that this tool runs is not there.');
      const output = JSON.stringify(await internal(input, scope));
      if (output.length <= context.limits.responseBytes) return output;
      throw new CallError('response_too_large', 'The answer of this tool is too large. Ask for less.');
    }
    default:
      return execution satisfies never;
  }
}

function prepare(tool: Tool): PreparedTool {
  const definition = JSON.parse(tool.definition) as { parameters: JsonObject; execution: Execution };
  return {
    schema: compileSchema(definition.parameters),
    execution: definition.execution,
    size: tool.definition.length,
  };
}

/** An internal function was stopped by its signal. */
function ended(error: unknown): CallOutcome {
  return isTimeout(error)
    ? { status: 'error', output: 'The tool did not end in time.', errorCode: 'timeout' }
    : { status: 'error', output: 'The call was canceled.', errorCode: 'canceled' };
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'TimeoutError';
}

function toolNotFound(name: string): CallOutcome {
  return {
    status: 'error',
    output: `There is no tool named "${clip(name, 100)}". Call one of the tools that you were given, by its exact name.`,
    errorCode: 'tool_not_found',
  };
}

/** What the definition says of the time that a call may take, in milliseconds. */
function timeoutOf(execution: Execution): number | undefined {
  return execution.type === 'webhook' ? execution.timeout_ms : undefined;
}

function kindOf(tool: Tool): string {
  return tool.pointer === null ? 'webhook' : 'internal_function';
}

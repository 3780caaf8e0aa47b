import { type Caller, callerKey } from '../caller.ts';
import type { JsonObject } from '../json.ts';
import type { Budget } from '../shared-budget.ts';
import type { Tool } from '../tools/tool.ts';
import { startToolSpan } from '../tracing/spans.ts';
import type { TraceContext } from '../tracing/trace-context.ts';
import { acceptArguments } from './accept-arguments.ts';
import { CallError, type CallOutcome, type CallResult, type ToolCall } from './call.ts';
import { findUnfit } from './check-arguments.ts';
import { type ResolvedScope, toolNotFoundWords } from './confirm-tool.ts';
import type { ExecutionContext } from './context.ts';
import { withDeadline } from './deadline.ts';
import { hashArguments } from './idempotency/arguments-hash.ts';
import { type PreparedTool, prepareTool } from './prepare-tool.ts';
import { runTool } from './run-tool.ts';

/** What the calls of one request share. */
export interface SharedScope {
  readonly caller: Caller;
  readonly requestId: string;
  readonly signal: AbortSignal;
  readonly endsAt: number;
  readonly trace: TraceContext | undefined;
  /** When the calls' tools were looked up, by the clock of `performance.now()`. */
  readonly resolvedAt: number;
  /** What the outputs of all calls may still amount to; each takes its share when it ends. */
  readonly budget: { bytes: number };
  /** What answers that come in take their memory from. */
  readonly memory: Budget;
}

/** An idempotency key: visible ASCII, as it goes into a header. */
const KEY = /^[\x21-\x7e]{1,255}$/;

const TOO_MUCH: CallOutcome = {
  status: 'error',
  output:
    'The tool has run, but the outputs of all calls of this request together are too large. Call fewer tools at once.',
  errorCode: 'response_too_large',
};

/** Runs one call, and leaves its row in the history. Never rejects for what a tool or a model does. */
export async function runCall(
  context: ExecutionContext,
  tool: Tool | undefined,
  call: ToolCall,
  index: number,
  shared: SharedScope,
): Promise<CallResult> {
  const startedAt = context.now();
  const start = performance.now();
  const span = startToolSpan(context.tracer, { name: call.name, callId: call.id, parent: shared.trace });
  const usage = { attempts: 0 };
  const unfit = findUnfit(call.arguments) ?? null;
  const argumentsHash = unfit === null ? hashArguments(call.arguments) : '';
  let outcome = tool
    ? await outcomeOf(context, tool, call, { ...shared, trace: span.context, usage, argumentsHash, unfit })
    : toolNotFound(call.name);
  if (outcome.output.length > shared.budget.bytes) outcome = TOO_MUCH;
  shared.budget.bytes -= outcome.output.length;
  const milliseconds = performance.now() - start;
  const durationMs = Math.round(milliseconds);

  span.end(outcome.errorCode === undefined ? {} : { error: outcome.errorCode });
  context.metrics.execution(
    { kind: tool ? kindOf(tool) : 'none', outcome: outcome.errorCode ?? 'success' },
    milliseconds / 1000,
  );
  context.history.record({
    userId: shared.caller.userId ?? '',
    toolId: tool?.id ?? '',
    toolName: call.name,
    callId: call.id,
    requestId: shared.requestId,
    errorCode: outcome.errorCode ?? null,
    startedAt,
    durationMs,
    attempts: usage.attempts,
    argumentsHash,
    arguments: call.arguments,
    output: outcome.output,
  });
  return { ...outcome, toolCallId: call.id, name: call.name, index, durationMs };
}

interface OpenScope extends SharedScope, Pick<ResolvedScope, 'usage'> {
  readonly argumentsHash: string;
  /** What keeps the arguments from being passed on at all; null for nothing. */
  readonly unfit: string | null;
}

async function outcomeOf(
  context: ExecutionContext,
  tool: Tool,
  call: ToolCall,
  open: OpenScope,
): Promise<CallOutcome> {
  const { idempotencyKey: key = '' } = call;
  try {
    const prepared = context.preparedTools.getOrMake(`${tool.id}:${tool.revision}`, () => prepareTool(tool));
    const values = acceptArguments(prepared, call.arguments, open, open.unfit);
    if (key !== '' && !KEY.test(key)) throw unfitKey();
    const ownMs = timeoutOf(prepared) ?? context.limits.timeoutMs;
    const timeoutMs = Math.min(ownMs, call.timeoutMs || Infinity);
    return await withDeadline(open.signal, timeoutMs, (cancellation) => {
      const scope: ResolvedScope = {
        ...open,
        resolved: { as: call.name, at: open.resolvedAt },
        cancellation,
        endsAt: Math.min(open.endsAt, performance.now() + timeoutMs),
        isToolsTime: () => timeoutMs === ownMs && !open.signal.aborted,
        idempotencyKey: key,
      };
      const run = () => runOnce(context, tool, prepared, values, scope);
      return key === ''
        ? run()
        : runKeyed(context, tool, { ...scope, argumentsHash: open.argumentsHash }, run);
    });
  } catch (error) {
    const { message, code } = asCallError(context, tool, error, open, open.signal.aborted);
    return { status: 'error', output: message, errorCode: code };
  }
}

async function runKeyed(
  { idempotency }: ExecutionContext,
  tool: Tool,
  scope: ResolvedScope & { readonly argumentsHash: string },
  run: () => Promise<CallOutcome>,
): Promise<CallOutcome> {
  const { caller, idempotencyKey: key, argumentsHash, cancellation } = scope;
  const place = { userId: callerKey(caller), toolId: tool.id, key, argumentsHash };
  const { replayed, ...outcome } = await idempotency.runOnce(place, cancellation.signal, run);
  return outcome;
}

/** Runs a tool; whatever goes wrong with it is a CallError. */
async function runOnce(
  context: ExecutionContext,
  tool: Tool,
  prepared: PreparedTool,
  values: JsonObject,
  scope: ResolvedScope,
): Promise<CallOutcome> {
  try {
    return { status: 'success', output: await runTool(context, tool, prepared, values, scope) };
  } catch (error) {
    throw asCallError(context, tool, error, scope, scope.cancellation.aborted);
  }
}

function asCallError(
  context: ExecutionContext,
  tool: Tool,
  error: unknown,
  { requestId }: Pick<ResolvedScope, 'requestId'>,
  isCanceled: boolean,
): CallError {
  if (error instanceof CallError) return error;
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return new CallError('timeout', 'The tool did not end in time.');
  }
  if (isCanceled) return new CallError('canceled', 'The call was canceled.');
  context.logFault(error, { requestId, toolId: tool.id });
  return new CallError('internal', 'The tool failed by an internal error.', { cause: error });
}

function toolNotFound(name: string): CallOutcome {
  return { status: 'error', output: toolNotFoundWords(name), errorCode: 'tool_not_found' };
}

function unfitKey(): CallError {
  const words = 'idempotency_key must be 1 to 255 visible ASCII characters.';
  return new CallError('invalid_arguments', words, { mayHaveRun: false });
}

/** What the definition says of the time that a call may take, in milliseconds. */
function timeoutOf({ execution }: PreparedTool): number | undefined {
  return execution.type === 'webhook' ? execution.definition.timeout_ms : undefined;
}

function kindOf(tool: Tool): string {
  return tool.pointer === null ? 'webhook' : 'internal_function';
}

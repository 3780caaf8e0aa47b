import type { Caller } from '../caller.ts';
import type { Cancellation } from '../cancellation.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import type { Budget } from '../shared-budget.ts';
import type { TraceContext } from '../tracing/trace-context.ts';

/** One call that a model made. */
export interface ToolCall {
  /** The model's own id of the call; comes back with the result. */
  readonly id: string;
  readonly name: string;
  readonly arguments: JsonObject;
  /** Shortens the time that the call may take, in milliseconds; undefined or 0 leaves it. */
  readonly timeoutMs?: number | undefined;
  /** Calls with the same run once; undefined or empty for none. */
  readonly idempotencyKey?: string | undefined;
}

/**
 * Why a call failed, for programs; `output` says it in words for a model. The list in `tool.proto` documents each.
 */
export type CallErrorCode =
  | 'tool_not_found'
  | 'invalid_arguments'
  | 'permission_denied'
  | 'forbidden_address'
  | 'unreachable'
  | 'timeout'
  | 'canceled'
  | 'upstream_error'
  | 'invalid_response'
  | 'response_too_large'
  | 'resource_exhausted'
  | 'circuit_open'
  | 'idempotency_conflict'
  | 'outcome_unknown'
  | 'internal';

/** How a call ended. A tool that fails is a result like any other. */
export type CallOutcome =
  | { readonly status: 'success' /** JSON text. */; readonly output: string; readonly errorCode?: never }
  | {
      readonly status: 'error';
      /** Words that a model can act on. */
      readonly output: string;
      readonly errorCode: CallErrorCode;
    };

export type CallResult = CallOutcome & {
  readonly toolCallId: string;
  readonly name: string;
  /** Which call of the request it answers, counted from 0. */
  readonly index: number;
  readonly durationMs: number;
};

/** For whom and how long a call runs. */
export interface CallScope {
  readonly caller: Caller;
  readonly requestId: string;
  /** Aborts when the caller is gone, the time is up (its reason is a TimeoutError then), or the service stops. */
  readonly cancellation: Cancellation;
  /** When the time is up, by the clock of `performance.now()`. */
  readonly endsAt: number;
  /** Whether the time is the tool's own: its caller neither shortened it nor left. */
  readonly isToolsTime: () => boolean;
  /** Empty for none. */
  readonly idempotencyKey: string;
  /** What the outputs of the request's calls may still amount to; each takes its share when it ends. */
  readonly budget: { bytes: number };
  /** What answers that come in take their memory from. */
  readonly memory: Budget;
  /** The call's span, or what the caller sent. */
  readonly trace: TraceContext | undefined;
  /** Counts the requests that were sent upstream. */
  readonly usage: { attempts: number };
}

/** A function of the service that system tools can run. Its arguments fit the tool's parameters. */
export type InternalFunction = (input: JsonObject, scope: CallScope) => Promise<JsonValue>;

/** A failure of a tool that its caller shall read; anything else that a runner throws is a fault of ours. */
export class CallError extends Error {
  override readonly name = 'CallError';
  readonly code: CallErrorCode;
  /** Whether the tool may have done its work nevertheless. Where not, the call's idempotency key may be used again. */
  readonly mayHaveRun: boolean;

  constructor(
    code: CallErrorCode,
    message: string,
    { mayHaveRun = true, ...options }: { cause?: unknown; mayHaveRun?: boolean } = {},
  ) {
    super(message, options);
    this.code = code;
    this.mayHaveRun = mayHaveRun;
  }
}

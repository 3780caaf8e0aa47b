import { Code, ConnectError, type HandlerContext, type ServiceImpl } from '@connectrpc/connect';
import type { Caller } from '../../caller.ts';
import type { CallResult, ToolCall } from '../../execution/call.ts';
import type { ExecutionContext } from '../../execution/context.ts';
import { executeCalls, type RequestScope, streamCalls } from '../../execution/execute-calls.ts';
import type { ExecuteMultipleToolsRequest, ToolService } from '../../gen/tool/tool_pb.ts';
import { callerFor, httpRequestKey } from './caller.ts';

/** Running tools, as RPCs. */
export function createExecuteRpcs(context: ExecutionContext) {
  return {
    async executeMultipleTools(request, handler) {
      const { caller, calls, scope } = readRequest(request, handler);
      const results = await executeCalls(context, caller, calls, scope);
      return { results: results.map(toMessage) };
    },

    async *executeTools(request, handler) {
      const { caller, calls, scope } = readRequest(request, handler);
      for await (const result of await streamCalls(context, caller, calls, scope)) {
        // What ended because nobody waits for it any more is no result; the status says why the stream ends.
        handler.signal.throwIfAborted();
        yield toMessage(result);
      }
      handler.signal.throwIfAborted();
    },
  } satisfies Pick<ServiceImpl<typeof ToolService>, 'executeMultipleTools' | 'executeTools'>;
}

function readRequest(
  request: ExecuteMultipleToolsRequest,
  { values, signal, timeoutMs }: HandlerContext,
): { caller: Caller; calls: ToolCall[]; scope: RequestScope } {
  const httpRequest = values.get(httpRequestKey);
  return {
    caller: callerFor(values, request.userId),
    calls: request.toolCalls.map((call) => ({
      id: call.id,
      name: call.name,
      arguments: call.arguments ?? {},
      timeoutMs: Math.max(0, call.timeoutMs),
      idempotencyKey: call.idempotencyKey,
    })),
    scope: {
      signal: callSignal(signal),
      requestId: httpRequest?.id ?? '',
      trace: httpRequest?.span?.context,
      endsAt: performance.now() + (timeoutMs() ?? Infinity),
      onAnswered: (release) =>
        httpRequest?.response ? httpRequest.response.once('close', release) : release(),
    },
  };
}

function toMessage(result: CallResult) {
  return { ...result, errorCode: result.errorCode ?? '' };
}

/** A signal like the RPC's, by which a call also learns that it was the caller's deadline that ended its time. */
function callSignal(signal: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const onAbort = () => {
    const { reason } = signal;
    const overdue = reason instanceof ConnectError && reason.code === Code.DeadlineExceeded;
    controller.abort(
      overdue ? new DOMException('The deadline of the caller is over', 'TimeoutError') : reason,
    );
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return controller.signal;
}

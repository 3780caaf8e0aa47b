import { Code, ConnectError, type ServiceImpl } from '@connectrpc/connect';
import { type ExecutionContext, executeCalls } from '../../execution/execute-calls.ts';
import type { ToolService } from '../../gen/tool/tool_pb.ts';
import { callerFor, httpRequestKey } from './caller.ts';

/** Running tools, as an RPC. */
export function createExecuteRpcs(context: ExecutionContext) {
  return {
    async executeMultipleTools(request, { values, signal }) {
      const caller = callerFor(values, request.userId);
      const calls = request.toolCalls.map((call) => ({
        id: call.id,
        name: call.name,
        arguments: call.arguments ?? {},
        timeoutMs: Math.max(0, call.timeoutMs),
      }));
      const requestId = values.get(httpRequestKey)?.id ?? '';
      const results = await executeCalls(context, caller, calls, { signal: callSignal(signal), requestId });
      return {
        results: results.map(({ toolCallId, name, status, output, errorCode = '', durationMs }) => ({
          toolCallId,
          name,
          status,
          output,
          errorCode,
          durationMs,
        })),
      };
    },
  } satisfies Pick<ServiceImpl<typeof ToolService>, 'executeMultipleTools'>;
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

import type { ServiceImpl } from '@connectrpc/connect';
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
      const results = await executeCalls(context, caller, calls, { signal, requestId });
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

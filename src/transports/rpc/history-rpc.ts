import { create } from '@bufbuild/protobuf';
import { type Timestamp, timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import { ServiceError } from '../../errors.ts';
import {
  type Execution as ExecutionMessage,
  ExecutionSchema,
  type ToolService,
} from '../../gen/tool/tool_pb.ts';
import { type Execution, executionStatuses } from '../../history/execution-record.ts';
import {
  DEFAULT_PAGE,
  type HistoryContext,
  listExecutions,
  MAX_PAGE,
} from '../../history/list-executions.ts';
import { callerFor } from './caller.ts';

/** The times that a Timestamp may have, in seconds since 1970: the years 1 to 9999. */
const [MIN_SECONDS, MAX_SECONDS] = [-62_135_596_800n, 253_402_300_799n];

/** What calls came to, as RPCs. */
export function createHistoryRpcs(context: HistoryContext) {
  return {
    async listExecutions(request, { values }) {
      const caller = callerFor(values, request.userId);
      if (request.pageSize < 0) throw invalid('page_size must not be negative.');
      const status = executionStatuses.find((known) => known === request.status);
      if (request.status !== '' && !status) {
        throw invalid(`status must be one of ${executionStatuses.join(', ')}.`);
      }
      const { executions, nextCursor } = await listExecutions(context, caller, {
        limit: Math.min(request.pageSize || DEFAULT_PAGE, MAX_PAGE),
        cursor: request.pageToken || undefined,
        tool: request.tool || undefined,
        status,
        after: timeOf('start_time', request.startTime),
        before: timeOf('end_time', request.endTime),
      }).catch(namePageToken);
      return { executions: executions.map(toMessage), nextPageToken: nextCursor ?? '' };
    },
  } satisfies Pick<ServiceImpl<typeof ToolService>, 'listExecutions'>;
}

function invalid(message: string): ServiceError {
  return new ServiceError('invalid_argument', message);
}

/** Refuses a list in the words of this RPC, whose `page_token` is the history's `cursor`. */
function namePageToken(error: unknown): never {
  const words = error instanceof ServiceError ? error.fields?.cursor?.[0] : undefined;
  throw words === undefined ? error : invalid(`page_token: ${words}`);
}

function timeOf(field: string, timestamp: Timestamp | undefined): Date | undefined {
  if (!timestamp) return undefined;
  const { seconds, nanos } = timestamp;
  if (seconds < MIN_SECONDS || seconds > MAX_SECONDS || nanos < 0 || nanos > 999_999_999) {
    throw invalid(`${field} must be a time from the year 1 to 9999.`);
  }
  return new Date(Number(seconds) * 1000 + Math.floor(nanos / 1e6));
}

function toMessage(execution: Execution): ExecutionMessage {
  return create(ExecutionSchema, {
    id: execution.id,
    toolId: execution.toolId ?? '',
    toolName: execution.toolName,
    toolCallId: execution.callId,
    requestId: execution.requestId,
    status: execution.status,
    errorCode: execution.errorCode ?? '',
    startTime: timestampFromDate(execution.startedAt),
    durationMs: execution.durationMs,
    attempts: execution.attempts,
    argumentBytes: execution.argumentBytes,
    outputBytes: execution.outputBytes,
    argumentsHash: execution.argumentsHash,
    arguments: execution.arguments ?? '',
    output: execution.output ?? '',
  });
}

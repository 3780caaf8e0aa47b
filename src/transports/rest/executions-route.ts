import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { invalidField } from '../../errors.ts';
import { type Execution, executionStatuses } from '../../history/execution-record.ts';
import { type HistoryContext, listExecutions } from '../../history/list-executions.ts';
import { userOf } from './guard.ts';
import { choiceOf, type ListQuery, limitOf, linkNextPage, single } from './list-query.ts';

const EXECUTIONS_PATH = '/ms7/api/v1/executions/';

/** What one call came to. */
export const executionSchema = z
  .object({
    id: z.uuid(),
    tool_id: z.uuid().nullable().meta({ description: 'Null where no tool of the name was found.' }),
    tool_name: z.string(),
    tool_call_id: z.string(),
    request_id: z.string().meta({ description: 'The x-request-id of the request that it came in.' }),
    status: z.enum(executionStatuses),
    error_code: z.string().nullable().meta({ description: 'Null on success; see ToolResult in tool.proto.' }),
    started_at: z.iso.datetime(),
    duration_ms: z.int(),
    attempts: z.int().meta({ description: 'Requests that were sent upstream for it.' }),
    argument_bytes: z.int(),
    output_bytes: z.int(),
    arguments_hash: z.string().meta({ description: 'SHA-256 of the arguments as canonical JSON, in hex.' }),
    arguments: z.string().optional().meta({ description: 'JSON text, where it is kept.' }),
    output: z
      .string()
      .optional()
      .meta({ description: 'Where it is kept: JSON text on success, words for a model on error.' }),
  })
  .meta({ id: 'Execution' });

/** A time with its zone, or a day, which begins in UTC (ISO 8601). */
const timeSchema = z.union([z.iso.datetime({ offset: true }), z.iso.date()]);

/** What the user's own calls came to, newest first. */
export function registerExecutionsRoute(app: FastifyInstance, context: HistoryContext): void {
  app.get<{ Querystring: ListQuery }>(EXECUTIONS_PATH, async (request, reply) => {
    const { query } = request;
    const { executions, nextCursor } = await listExecutions(context, userOf(request), {
      limit: limitOf(query),
      cursor: single(query, 'cursor'),
      tool: toolOf(query),
      status: choiceOf(query, 'status', executionStatuses),
      after: timeOf(query, 'after'),
      before: timeOf(query, 'before'),
    });
    linkNextPage(reply, EXECUTIONS_PATH, query, nextCursor);
    return executions.map(toJson);
  });
}

function toJson(execution: Execution): z.input<typeof executionSchema> {
  return {
    id: execution.id,
    tool_id: execution.toolId,
    tool_name: execution.toolName,
    tool_call_id: execution.callId,
    request_id: execution.requestId,
    status: execution.status,
    error_code: execution.errorCode,
    started_at: execution.startedAt.toISOString(),
    duration_ms: execution.durationMs,
    attempts: execution.attempts,
    argument_bytes: execution.argumentBytes,
    output_bytes: execution.outputBytes,
    arguments_hash: execution.argumentsHash,
    ...(execution.arguments === null ? {} : { arguments: execution.arguments }),
    ...(execution.output === null ? {} : { output: execution.output }),
  };
}

function toolOf(query: ListQuery): string | undefined {
  const text = single(query, 'tool');
  if (text === '') throw invalidField('tool', 'This field may not be blank.');
  return text;
}

function timeOf(query: ListQuery, name: string): Date | undefined {
  const text = single(query, name);
  if (text === undefined) return undefined;
  const time = new Date(timeSchema.safeParse(text).success ? text : Number.NaN);
  if (Number.isNaN(time.getTime())) {
    throw invalidField(name, 'must be a time in ISO 8601 with its zone, such as 2030-01-31T12:00:00Z.');
  }
  return time;
}

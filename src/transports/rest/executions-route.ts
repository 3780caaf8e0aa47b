import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { clip } from '../../clip.ts';
import { invalidField } from '../../errors.ts';
import { type Execution, type ExecutionStatus, executionStatuses } from '../../history/execution-record.ts';
import { type HistoryContext, listExecutions } from '../../history/list-executions.ts';
import { userOf } from './guard.ts';

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

type QueryValue = string | string[] | undefined;

/** A time with its zone, or a day, which begins in UTC (ISO 8601). */
const timeSchema = z.union([z.iso.datetime({ offset: true }), z.iso.date()]);

/** What the user's own calls came to, newest first. */
export function registerExecutionsRoute(app: FastifyInstance, context: HistoryContext): void {
  app.get<{ Querystring: Record<string, QueryValue> }>(EXECUTIONS_PATH, async (request, reply) => {
    const { query } = request;
    const { executions, nextCursor } = await listExecutions(context, userOf(request), {
      limit: limitOf(query.limit),
      cursor: single('cursor', query.cursor),
      tool: toolOf(query.tool),
      status: statusOf(query.status),
      after: timeOf('after', query.after),
      before: timeOf('before', query.before),
    });
    if (nextCursor !== undefined) {
      const next = new URLSearchParams();
      for (const [key, value] of Object.entries(query)) if (typeof value === 'string') next.set(key, value);
      next.set('cursor', nextCursor);
      reply.header('Link', `<${EXECUTIONS_PATH}?${next}>; rel="next"`);
    }
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

function single(name: string, value: QueryValue): string | undefined {
  if (Array.isArray(value)) throw invalidField(name, 'must be given once.');
  return value;
}

function limitOf(value: QueryValue): number | undefined {
  const text = single('limit', value);
  if (text === undefined) return undefined;
  return /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
}

function toolOf(value: QueryValue): string | undefined {
  const text = single('tool', value);
  if (text === '') throw invalidField('tool', 'This field may not be blank.');
  return text;
}

function statusOf(value: QueryValue): ExecutionStatus | undefined {
  const text = single('status', value);
  if (text === undefined) return undefined;
  const status = executionStatuses.find((known) => known === text);
  if (!status) throw invalidField('status', `"${clip(text)}" is not a valid choice.`);
  return status;
}

function timeOf(name: string, value: QueryValue): Date | undefined {
  const text = single(name, value);
  if (text === undefined) return undefined;
  const time = new Date(timeSchema.safeParse(text).success ? text : Number.NaN);
  if (Number.isNaN(time.getTime())) {
    throw invalidField(name, 'must be a time in ISO 8601 with its zone, such as 2030-01-31T12:00:00Z.');
  }
  return time;
}

import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import { ServiceError } from '../../errors.ts';
import { type ExecutionContext, executeCalls, tooManyCalls } from '../../execution/execute-calls.ts';
import type { JsonObject } from '../../json.ts';
import { isJsonObject } from '../../json.ts';
import { notADictionary } from '../../tools/tool-input.ts';
import { userOf } from './guard.ts';
import { readInput } from './json-body.ts';

/** What to run; the twin of ExecuteMultipleToolsRequest. */
export const executeInputSchema = z
  .object({
    tool_calls: z.array(
      z.object({
        id: z
          .string('Not a valid string.')
          .default('')
          .meta({ description: "The model's own id of the call." }),
        name: z.string({
          error: ({ input }) => (input === undefined ? 'This field is required.' : 'Not a valid string.'),
        }),
        arguments: z
          .custom<JsonObject>(isJsonObject, 'Must be a JSON object.')
          .default({})
          .meta({ type: 'object', description: "Must fit the tool's parameters." }),
        timeout_ms: z
          .int('A valid integer is required.')
          .min(0, 'Ensure this value is greater than or equal to 0.')
          .default(0)
          .meta({ description: 'Shortens the time that this call may take, in milliseconds; 0 leaves it.' }),
      }),
      {
        error: ({ input }) =>
          input === undefined ? 'This field is required.' : "'tool_calls' must be a list.",
      },
    ),
  })
  .meta({ id: 'ExecuteInput' });

/** Runs tool calls in parallel; the answer is 200 whatever becomes of them, since a failure is a result. */
export function registerExecuteRoute(app: FastifyInstance, context: ExecutionContext): void {
  app.post('/ms7/api/v1/execute/', async (request, reply) => {
    const user = userOf(request);
    const calls = readCalls(readInput(request), context.limits.callsPerRequest);
    const signal = goneSignal(reply);
    const results = await executeCalls(context, user, calls, { signal, requestId: request.id });
    return {
      results: results.map(({ toolCallId, name, status, output, errorCode, durationMs }) => ({
        tool_call_id: toolCallId,
        name,
        status,
        output,
        ...(errorCode === undefined ? {} : { error_code: errorCode }),
        duration_ms: durationMs,
      })),
    };
  });
}

function readCalls(body: unknown, maxCalls: number) {
  if (!isJsonObject(body)) throw notADictionary(body);
  if (Array.isArray(body.tool_calls) && body.tool_calls.length > maxCalls) throw tooManyCalls(maxCalls);
  const parsed = executeInputSchema.safeParse(body);
  if (parsed.success) {
    return parsed.data.tool_calls.map(({ timeout_ms: timeoutMs, ...call }) => ({ ...call, timeoutMs }));
  }
  const [issue] = parsed.error.issues;
  const [, index, field] = issue?.path ?? [];
  const place =
    index === undefined ? '' : `[${String(index)}]${field === undefined ? '' : `.${String(field)}`}: `;
  const message = `${place}${issue?.message ?? 'Not valid.'}`;
  throw new ServiceError('invalid_argument', `tool_calls${message}`, { fields: { tool_calls: [message] } });
}

/** A signal that aborts when the client is gone before it has its answer. */
function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort();
  });
  return gone.signal;
}

import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ServiceError } from '../../errors.ts';
import type { CallResult } from '../../execution/call.ts';
import type { ExecutionContext } from '../../execution/context.ts';
import { executeCalls, streamCalls, tooManyCalls } from '../../execution/execute-calls.ts';
import type { JsonObject } from '../../json.ts';
import { isJsonObject } from '../../json.ts';
import { notADictionary } from '../../tools/tool-input.ts';
import { goneSignal, onClose } from './gone-signal.ts';
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
        idempotency_key: z
          .string('Not a valid string.')
          .default('')
          .meta({ description: 'Calls with the same run once within 24 hours; visible ASCII, at most 255.' }),
      }),
      {
        error: ({ input }) =>
          input === undefined ? 'This field is required.' : "'tool_calls' must be a list.",
      },
    ),
  })
  .meta({ id: 'ExecuteInput' });

/** An event is made when the one before it has left: what waits here counts as held, and shall not be more. */
const NONE_AHEAD = { highWaterMark: 0 };

/**
 * Runs tool calls in parallel; the answer is 200 whatever becomes of them, since a failure is a result. Who accepts
 * `text/event-stream` gets each result as it is done.
 */
export function registerExecuteRoute(app: FastifyInstance, context: ExecutionContext): void {
  app.post('/ms7/api/v1/execute/', async (request, reply) => {
    const user = userOf(request);
    const calls = readCalls(readInput(request), context.limits.callsPerRequest);
    const scope = {
      signal: goneSignal(reply),
      requestId: request.id,
      endsAt: Infinity,
      trace: request.span?.context,
      onAnswered: (release: () => void) => onClose(reply, release),
    };
    reply.header('Vary', 'Accept');
    if (!wantsEvents(request)) {
      return { results: (await executeCalls(context, user, calls, scope)).map(toJson) };
    }
    const results = await streamCalls(context, user, calls, scope);
    return reply.type('text/event-stream').send(Readable.from(toEvents(results), NONE_AHEAD));
  });
}

function toJson({ toolCallId, name, status, output, errorCode, durationMs }: CallResult) {
  return {
    tool_call_id: toolCallId,
    name,
    status,
    output,
    ...(errorCode === undefined ? {} : { error_code: errorCode }),
    duration_ms: durationMs,
  };
}

/** Results as server-sent events, one each, and a last one that says that there are no more. */
async function* toEvents(results: AsyncIterable<CallResult>): AsyncGenerator<string> {
  for await (const result of results) {
    yield `event: result\ndata: ${JSON.stringify({ ...toJson(result), index: result.index })}\n\n`;
  }
  yield 'event: done\ndata: {}\n\n';
}

/** Whether the client asks for events, and not for JSON before them; JSON stays the answer for who takes anything. */
function wantsEvents({ headers }: FastifyRequest): boolean {
  const types = (headers.accept ?? '').toLowerCase().split(',');
  const [wanted] = types
    .map((type) => type.split(';', 1)[0]?.trim())
    .filter((type) => type === 'text/event-stream' || type === 'application/json');
  return wanted === 'text/event-stream';
}

function readCalls(body: unknown, maxCalls: number) {
  if (!isJsonObject(body)) throw notADictionary(body);
  if (Array.isArray(body.tool_calls) && body.tool_calls.length > maxCalls) throw tooManyCalls(maxCalls);
  const parsed = executeInputSchema.safeParse(body);
  if (parsed.success) {
    return parsed.data.tool_calls.map(
      ({ timeout_ms: timeoutMs, idempotency_key: idempotencyKey, ...call }) => ({
        ...call,
        timeoutMs,
        idempotencyKey,
      }),
    );
  }
  const [issue] = parsed.error.issues;
  const [, index, field] = issue?.path ?? [];
  const place =
    index === undefined ? '' : `[${String(index)}]${field === undefined ? '' : `.${String(field)}`}: `;
  const message = `${place}${issue?.message ?? 'Not valid.'}`;
  throw new ServiceError('invalid_argument', `tool_calls${message}`, { fields: { tool_calls: [message] } });
}

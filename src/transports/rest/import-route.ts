import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { invalidField } from '../../errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../json.ts';
import type { ToolsContext } from '../../tools/context.ts';
import { importTools } from '../../tools/import-tools.ts';
import { goneSignal } from './gone-signal.ts';
import { userOf } from './guard.ts';
import { readJson } from './json-body.ts';

export const IMPORT_PATH = '/ms7/api/v1/tools/import/';

/** A document, and what it does not say. The document may also come alone. */
export const importInputSchema = z
  .object({
    document: z.unknown().meta({
      description:
        'OpenAI functions, Anthropic tools, Gemini functionDeclarations, the result of MCP tools/list, or an OpenAPI ' +
        '3.0 or 3.1 document.',
    }),
    execution: z
      .custom<JsonObject>(isJsonObject, 'Must be a JSON object.')
      .optional()
      .meta({
        type: 'object',
        description:
          "How the tools run that do not say it: an 'execution' as in a definition; `{tool_name}` in its URL is the tool's " +
          'name.',
      }),
    credentials: z
      .record(z.string(), z.record(z.string(), z.string('Not a valid string.')), 'Must be a JSON object.')
      .optional()
      .meta({
        description:
          "Secrets by the name of OpenAPI's security scheme: `token`; `username` and `password`; `value`; or " +
          '`client_id` and `client_secret`.',
      }),
    server_url: z
      .string('Not a valid string.')
      .optional()
      .meta({ description: 'Instead of the servers that an OpenAPI document names.' }),
    is_system_tool: z
      .boolean('Must be a valid boolean.')
      .optional()
      .meta({ description: 'True makes system tools; heeded from administrators.' }),
  })
  .meta({ id: 'ImportInput' });

/** What became of the tools of a document. */
export const importResultsSchema = z
  .object({
    results: z.array(
      z.object({
        name: z.string(),
        id: z.uuid().nullable(),
        status: z.enum(['created', 'updated', 'unchanged', 'refused']),
        errors: z.array(z.string()).meta({ description: 'Why it was refused.' }),
        notes: z.array(z.string()).meta({ description: 'What is otherwise than the document says.' }),
      }),
    ),
  })
  .meta({ id: 'ImportResults' });

/**
 * Registers the tools of a document; the answer is 200 whatever becomes of each. What ends the import between them, as an
 * outage of the database does, is answered as anywhere: those before it are registered, and a second import goes on.
 */
export function registerImportRoute(app: FastifyInstance, context: ToolsContext): void {
  app.post(IMPORT_PATH, async (request, reply) => {
    const signal = goneSignal(reply);
    const user = userOf(request);
    const body = readJson(request) as JsonValue | undefined;
    if (!isJsonObject(body) || !Object.hasOwn(body, 'document')) {
      return { results: await importTools(context, user, body, { signal }) };
    }
    const input = readWrapper(body);
    const results = await importTools(context, user, body.document, {
      execution: input.execution,
      credentials: input.credentials,
      serverUrl: input.server_url,
      isSystem: input.is_system_tool,
      signal,
    });
    return { results };
  });
}

function readWrapper(body: JsonObject): z.output<typeof importInputSchema> {
  const parsed = importInputSchema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw invalidField(String(issue?.path[0] ?? 'document'), issue?.message ?? 'Not valid.');
}

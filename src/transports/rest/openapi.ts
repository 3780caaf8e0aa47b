import { z } from 'zod';
import { executionStatuses } from '../../history/execution-record.ts';
import { toolFormats } from '../../tools/formats/format.ts';
import { toolTypes } from '../../tools/tool.ts';
import { toolInputSchema } from '../../tools/tool-input.ts';
import { executeInputSchema } from './execute-route.ts';
import { executionSchema } from './executions-route.ts';
import { importInputSchema, importResultsSchema } from './import-route.ts';

const toolSchema = z
  .object({
    id: z.uuid(),
    name: z.string(),
    tool_type: z.enum(toolTypes),
    definition: z.record(z.string(), z.unknown()),
    is_system_tool: z.boolean(),
    owner_id: z.uuid().nullable(),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'Tool' });

const resultSchema = z
  .object({
    results: z.array(
      z.object({
        tool_call_id: z.string(),
        name: z.string(),
        status: z.enum(['success', 'error']),
        output: z.string().meta({ description: 'JSON text on success, words for a model on error.' }),
        error_code: z.string().optional().meta({ description: 'On error; see ToolResult in tool.proto.' }),
        duration_ms: z.int(),
      }),
    ),
  })
  .meta({ id: 'ExecuteResults' });

const validateInputSchema = z
  .object({ tool_ids: z.array(z.uuid()).optional() })
  .meta({ id: 'ValidateInput' });
const errorSchema = z
  .record(z.string(), z.unknown())
  .meta({ id: 'Error', description: '`detail` with the cause, or a list of messages for each field.' });

const toolChangeSchema = toolInputSchema
  .omit({ is_system_tool: true })
  .extend({ tool_type: z.enum(toolTypes) })
  .partial()
  .meta({ id: 'ToolChange' });

/** JSON Schemas by their ids, with those that they refer to. Their references lead to this document's components. */
function componentsOf(io: 'input' | 'output', schemas: readonly z.ZodType[]): Record<string, object> {
  const byId = schemas.map((schema) => z.toJSONSchema(schema, { io, unrepresentable: 'any' }).$defs);
  const text = JSON.stringify(Object.assign({}, ...byId));
  return JSON.parse(text.replaceAll('"$ref":"#/$defs/', '"$ref":"#/components/schemas/'));
}

const content = (name: string) => ({
  'application/json': { schema: { $ref: `#/components/schemas/${name}` } },
});
const answer = (description: string, name?: string) => ({
  description,
  ...(name ? { content: content(name) } : {}),
});
const body = (name: string, required = true) => ({ required, content: content(name) });
const refusals = (...statuses: string[]) =>
  Object.fromEntries(
    ['401', '429', ...statuses]
      .sort()
      .map((status) => [status, { $ref: `#/components/responses/${status}` }]),
  );
const query = (name: string, description: string, schema: object) => ({
  name,
  in: 'query',
  description,
  schema,
});
const id = { name: 'id', in: 'path', required: true, schema: { type: 'string', format: 'uuid' } };
const header = (name: string, description: string) => ({
  name,
  in: 'header',
  description,
  schema: { type: 'string' },
});
const dateTime = { type: 'string', format: 'date-time' };
const ifMatch = header('If-Match', 'The ETag that the tool must have.');

/** The OpenAPI 3.1 document of the REST interface. What is written is described by the schemas that check it. */
export function createOpenApiDocument(version: string) {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tool Service',
      version,
      description: 'A registry of tools for LLM agents, and an engine that runs their calls.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    security: [{ bearer: [] }],
    paths: {
      '/ms7/api/v1/tools/': {
        get: {
          operationId: 'listTools',
          summary: 'List the system tools and your own',
          parameters: [
            query('search', 'Only tools with each of these words in their name or description.', {
              type: 'string',
            }),
            query('tool_type', 'Only tools of this type.', { enum: toolTypes }),
            query('format', 'As this API wants tools: names and parameters, under names that it allows.', {
              enum: toolFormats,
            }),
            query('limit', 'Most tools in the answer.', { type: 'integer', minimum: 1, maximum: 1000 }),
            query('cursor', 'Where to go on, from the Link header of the answer before.', { type: 'string' }),
          ],
          responses: {
            200: {
              description: 'System tools first, then by name; `Link` leads to the next page.',
              headers: { Link: { schema: { type: 'string' } } },
              content: {
                'application/json': {
                  schema: { type: 'array', items: { $ref: '#/components/schemas/Tool' } },
                },
              },
            },
            ...refusals('400'),
          },
        },
        post: {
          operationId: 'createTool',
          summary: 'Register a tool',
          requestBody: body('ToolInput'),
          responses: { 201: answer('The tool', 'Tool'), ...refusals('400', '409', '413', '415') },
        },
      },
      '/ms7/api/v1/tools/import/': {
        post: {
          operationId: 'importTools',
          summary:
            'Register the tools of a document; it may also be sent alone, without what is around it here',
          requestBody: body('ImportInput'),
          responses: {
            200: answer('What became of each tool, in order', 'ImportResults'),
            ...refusals('400', '413', '415'),
          },
        },
      },
      '/ms7/api/v1/tools/{id}/': {
        parameters: [id],
        get: {
          operationId: 'getTool',
          summary: 'Get a tool',
          parameters: [header('If-None-Match', 'An ETag that you have.')],
          responses: { 200: answer('The tool', 'Tool'), 304: answer('Not modified'), ...refusals('404') },
        },
        put: {
          operationId: 'replaceTool',
          summary: 'Replace a tool',
          parameters: [ifMatch],
          requestBody: body('ToolInput'),
          responses: {
            200: answer('The tool', 'Tool'),
            ...refusals('400', '403', '404', '409', '412', '413', '415'),
          },
        },
        patch: {
          operationId: 'changeTool',
          summary: 'Change fields of a tool',
          parameters: [ifMatch],
          requestBody: body('ToolChange'),
          responses: {
            200: answer('The tool', 'Tool'),
            ...refusals('400', '403', '404', '409', '412', '413', '415'),
          },
        },
        delete: {
          operationId: 'deleteTool',
          summary: 'Delete a tool',
          parameters: [ifMatch],
          responses: { 204: answer('Deleted'), ...refusals('403', '404', '409', '412') },
        },
      },
      '/ms7/internal/v1/tools/validate/': {
        post: {
          operationId: 'validateTools',
          summary: 'Check that you may use these tools',
          requestBody: body('ValidateInput', false),
          responses: { 204: answer('You may use each of them'), ...refusals('400', '403', '413', '415') },
        },
      },
      '/ms7/api/v1/execute/': {
        post: {
          operationId: 'executeTools',
          summary: 'Run tool calls in parallel',
          requestBody: body('ExecuteInput'),
          responses: {
            200: {
              description:
                'A result for each call, in order; with `Accept: text/event-stream` each as it is done, as an event ' +
                '`result` that has its `index` too, and an event `done` at the end.',
              content: { ...content('ExecuteResults'), 'text/event-stream': { schema: { type: 'string' } } },
            },
            ...refusals('400', '413', '415'),
          },
        },
      },
      '/ms7/api/v1/executions/': {
        get: {
          operationId: 'listExecutions',
          summary: 'List what your calls came to',
          parameters: [
            query('tool', "Only calls of this tool: a tool's id, or the name of one that you may use.", {
              type: 'string',
            }),
            query('status', 'Only calls that ended so.', { enum: executionStatuses }),
            query('after', 'Only calls that began at this time or later.', dateTime),
            query('before', 'Only calls that began before this time.', dateTime),
            query('limit', 'Most executions in the answer.', {
              type: 'integer',
              minimum: 1,
              maximum: 1000,
              default: 100,
            }),
            query('cursor', 'Where to go on, from the Link header of the answer before.', { type: 'string' }),
          ],
          responses: {
            200: {
              description: 'Newest first; `Link` leads to the next page, of an empty one too.',
              headers: { Link: { schema: { type: 'string' } } },
              content: {
                'application/json': {
                  schema: { type: 'array', items: { $ref: '#/components/schemas/Execution' } },
                },
              },
            },
            ...refusals('400'),
          },
        },
      },
      '/healthz': { get: { operationId: 'health', security: [], responses: { 200: answer('Alive') } } },
      '/readyz': {
        get: {
          operationId: 'readiness',
          security: [],
          responses: {
            200: answer('Ready, with how each dependency is'),
            503: answer('Not ready, with the reason'),
          },
        },
      },
      '/metrics': {
        get: {
          operationId: 'metrics',
          summary: 'Prometheus metrics, for services, administrators and this machine',
          responses: { 200: { description: 'Metrics', content: { 'text/plain': {} } }, ...refusals('403') },
        },
      },
    },
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      schemas: {
        ...componentsOf('output', [
          toolSchema,
          resultSchema,
          importResultsSchema,
          executionSchema,
          errorSchema,
        ]),
        ...componentsOf('input', [
          toolInputSchema,
          toolChangeSchema,
          validateInputSchema,
          executeInputSchema,
          importInputSchema,
        ]),
      },
      responses: {
        400: answer('The input is not valid', 'Error'),
        401: answer('No valid credentials', 'Error'),
        403: answer('Not permitted', 'Error'),
        404: answer("Not there, or another user's", 'Error'),
        409: answer('In conflict with another tool', 'Error'),
        412: answer('The tool is another than If-Match says', 'Error'),
        413: answer('The body is too large', 'Error'),
        415: answer('The body is not JSON', 'Error'),
        429: answer('Over the rate limit; `Retry-After` says for how long', 'Error'),
      },
    },
  };
}

import { afterAll, describe, expect, it } from 'vitest';
import { createHttpClient, nextLink, type Send, said } from '../../testing/http-client.ts';
import { makeToken } from '../../testing/make-token.ts';
import { startTestService } from '../../testing/start-test-service.ts';
import { startStubWebhook } from '../../testing/stub-webhook.ts';
import { execute } from '../../testing/tool-calls.ts';
import { webhookInput } from '../../testing/tools-context.ts';
import { jsonBody } from '../../tools/formats/documents-for-tests.ts';
import { toolFormats } from '../../tools/formats/format.ts';

const TOOLS = '/ms7/api/v1/tools/';
const IMPORT = '/ms7/api/v1/tools/import/';

interface Result {
  readonly name: string;
  readonly id: string | null;
  readonly status: string;
  readonly errors: string[];
  readonly notes: string[];
}

const service = await startTestService();
afterAll(() => service.close());

const newUser = (claims = {}) => createHttpClient(service.url, makeToken(claims));

async function importAll(send: Send, body: unknown): Promise<Result[]> {
  const answer = await send<{ results: Result[] }>('POST', IMPORT, { body });
  expect([answer.status, answer.text.slice(0, 12)]).toEqual([200, '{"results":[']);
  return answer.json.results;
}

const parameters = { type: 'object', properties: { q: { type: 'string' } } };

describe('POST /tools/import/', () => {
  it('takes a document alone or in a wrapper', async () => {
    const send = newUser();
    const document = [{ type: 'function', function: { name: 'a.b', description: 'A.', parameters } }];
    const execution = { type: 'webhook', url: 'https://gateway.example/{tool_name}' };
    expect(await importAll(send, document)).toEqual([
      { name: 'a.b', id: null, status: 'refused', errors: [expect.any(String)], notes: [] },
    ]);
    const [made] = await importAll(send, { document, execution });
    expect(made).toEqual({ name: 'a.b', id: expect.any(String), status: 'created', errors: [], notes: [] });
    expect(await importAll(send, { document, execution })).toEqual([{ ...made, status: 'unchanged' }]);
    expect((await send('GET', `${TOOLS}${made?.id}/`)).json).toMatchObject({
      name: 'a.b',
      tool_type: 'standard',
      definition: { execution: { url: 'https://gateway.example/a.b' } },
    });
  });

  it.each([
    ['', 'Takes a list of OpenAI functions'],
    ['{}', 'Takes a list of OpenAI functions'],
    ['{"swagger":"2.0"}', 'convert it to OpenAPI'],
    ['{"document":[],"execution":[]}', '{"execution":["Must be a JSON object."]}'],
    ['{"document":[],"credentials":{"a":{"token":3}}}', '{"credentials":["Not a valid string."]}'],
    ['{"document":[],"server_url":3}', '{"server_url":["Not a valid string."]}'],
    ['{"document":[],"is_system_tool":"yes"}', '{"is_system_tool":["Must be a valid boolean."]}'],
    ['{"document":3}', 'Takes a list of OpenAI functions'],
    [`[${Array(1001).fill('{}').join()}]`, 'no more than 1000 tools'],
    ['[', 'JSON parse error'],
  ])('refuses %.40s', async (body, words) => {
    const answer = await newUser()('POST', IMPORT, { body });
    expect(answer.status).toBe(400);
    expect(answer.text).toContain(words);
  });

  it('is for users, and no tool of another is touched', async () => {
    expect((await newUser()('POST', IMPORT, { body: [], token: null })).status).toBe(401);
    const [alice, bob] = [newUser(), newUser()];
    const execution = { type: 'webhook', url: 'https://gateway.example/' };
    const document = [{ name: 'mine', parameters, execution }];
    const [mine] = await importAll(alice, document);
    const [theirs] = await importAll(bob, document);
    expect(theirs?.status).toBe('created');
    expect(theirs?.id).not.toBe(mine?.id);
    const system = { document: [{ name: 'everyones', parameters, execution }], is_system_tool: true };
    const [own] = await importAll(alice, system);
    expect((await bob('GET', `${TOOLS}${own?.id}/`)).status).toBe(404);
    const [shared] = await importAll(newUser({ is_staff: true }), system);
    expect((await bob('GET', `${TOOLS}${shared?.id}/`)).status).toBe(200);
  });

  it('makes of an OpenAPI document tools that can be called', async () => {
    await using api = await startStubWebhook();
    const send = newUser();
    const document = {
      openapi: '3.0.3',
      servers: [{ url: api.url }],
      security: [{ key: [] }],
      paths: {
        '/orders/{order-id}/lines': {
          parameters: [{ name: 'order-id', in: 'path', required: true, schema: { type: 'string' } }],
          get: {
            operationId: 'lines.list',
            parameters: [
              { name: 'page[size]', in: 'query', schema: { type: 'integer' } },
              { name: 'sort', in: 'query', schema: { type: 'array', items: { type: 'string' } } },
              { name: 'X-Trace', in: 'header', schema: { type: 'string' } },
            ],
          },
          post: {
            operationId: 'lines.add',
            requestBody: jsonBody({
              type: 'object',
              required: ['sku'],
              properties: { sku: { type: 'string' }, count: { type: 'integer', nullable: true } },
            }),
          },
        },
      },
      components: { securitySchemes: { key: { type: 'apiKey', in: 'header', name: 'X-Key' } } },
    };
    const credentials = { key: { value: 'a-key-of-the-api' } };
    const results = await importAll(send, { document, credentials });
    expect(results.map(({ status }) => status)).toEqual(['created', 'created']);
    const calls = await execute(send, [
      {
        name: 'lines.list',
        arguments: { 'order-id': 'a/b?c', page_size_: 5, sort: ['x', 'y'], 'X-Trace': 't' },
      },
      { name: 'lines_add', arguments: { 'order-id': '1', sku: 's', count: null } },
      { name: 'lines_add', arguments: { 'order-id': '1' } },
    ]);
    expect(calls.map(({ status, error_code: code }) => [status, code])).toEqual([
      ['success', undefined],
      ['success', undefined],
      ['error', 'invalid_arguments'],
    ]);
    const [list, add] = api.requests.toSorted((a, b) => a.method.localeCompare(b.method));
    expect(list).toMatchObject({
      method: 'GET',
      url: '/orders/a%2Fb%3Fc/lines?page%5Bsize%5D=5&sort=x&sort=y',
      headers: { 'x-trace': 't', 'x-key': 'a-key-of-the-api' },
    });
    expect(add).toMatchObject({
      method: 'POST',
      url: '/orders/1/lines',
      headers: { 'x-key': 'a-key-of-the-api' },
    });
    expect(JSON.parse(add?.body ?? '')).toEqual({ sku: 's', count: null });
  });
});

describe('GET /tools/?format=', () => {
  it.each(toolFormats)('gives out what %s takes, and no more', async (format) => {
    await using webhook = await startStubWebhook();
    const send = newUser();
    const input = webhookInput('math.hypot', {
      url: webhook.url,
      authentication: { type: 'bearer', token: 'a-secret-token' },
    });
    const body = { ...input, definition: { ...input.definition, parameters: {}, extra: 'not for models' } };
    expect((await send('POST', TOOLS, { body })).status).toBe(201);
    const answer = await send<object[]>('GET', `${TOOLS}?format=${format}&search=hypot`);
    const [schema, description] = [{ type: 'object', properties: {} }, 'Does math.hypot.'];
    const name = 'math_hypot';
    expect(answer.json).toEqual([
      {
        openai: { type: 'function', function: { name, description, parameters: schema } },
        anthropic: { name, description, input_schema: schema },
        mcp: { name, description, inputSchema: schema },
        gemini: { name, description, parametersJsonSchema: schema },
      }[format],
    ]);
    expect(answer.text).not.toMatch(/a-secret|\*\*\*|127\.0|not for models/);
    expect(await execute(send, [{ name, arguments: { a: 1 } }])).toMatchObject([
      { name, status: 'success', output: '{"a":1}' },
    ]);
  });

  it('leaves filters and pages as they are', async () => {
    const send = newUser();
    for (const name of ['a.1', 'a.2', 'b.3']) await send('POST', TOOLS, { body: webhookInput(name) });
    const first = await send<{ name: string }[]>('GET', `${TOOLS}?format=anthropic&search=does+a&limit=1`);
    const link = nextLink(first) ?? '';
    expect(link).toContain('format=anthropic');
    const second = await send<{ name: string }[]>('GET', link);
    expect([first, second].map(({ json }) => json.map(({ name }) => name))).toEqual([['a_1'], ['a_2']]);
    expect(nextLink(second)).toBeUndefined();
  });

  it('refuses a format that it does not know, and names it', async () => {
    const answer = await newUser()('GET', `${TOOLS}?format=cohere`);
    const words = '\\"cohere\\" is not a valid choice: openai, anthropic, mcp, gemini.';
    expect(said(answer)).toEqual([400, `{"format":["${words}"]}`]);
    expect((await newUser()('GET', `${TOOLS}?format=`)).status).toBe(400);
    expect((await newUser()('GET', `${TOOLS}?format=mcp&format=mcp`)).status).toBe(400);
  });
});

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ToolService } from '../gen/tool/tool_pb.ts';
import { type Answer, createHttpClient } from '../testing/http-client.ts';
import { makeToken } from '../testing/make-token.ts';
import { startTestService } from '../testing/start-test-service.ts';
import { startStubWebhook } from '../testing/stub-webhook.ts';
import { createTool } from '../testing/tool-calls.ts';
import { webhookInput } from '../testing/tools-context.ts';

// Whatever names a tool, by id or by name, is answered for another's tool as for none: to the byte, whoever asks.

const SERVICE_SECRET = 'secret-of-the-service-nodes-in-these-tests';
const service = await startTestService({ SERVICE_TOKENS: `nodes:${SERVICE_SECRET}` });
const upstream = await startStubWebhook();
afterAll(async () => {
  await service.close();
  await upstream[Symbol.asyncDispose]();
});

/** A tool that somebody else owns, or that nobody does. */
interface Target {
  readonly id: string;
  readonly name: string;
}
const foreign = { id: '', name: 'tool_of_bob' };
const unknown: Target = { id: randomUUID(), name: 'tool_of_nobody' };
const ann = randomUUID();

beforeAll(async () => {
  const bob = createHttpClient(service.url, makeToken());
  const tool = await createTool(bob, foreign.name, { execution: { url: upstream.url } });
  foreign.id = tool.id;
  await bob('POST', '/ms7/api/v1/execute/', { body: { tool_calls: [{ name: foreign.name }] } });
});

type Request = { method: string; path: string; body?: unknown; headers?: Record<string, string> };

const update = (name: string) => ({ tool_type: 'mcp', ...webhookInput(name) });

/** Every route that takes an id or a name of a tool, by its operation in the API's description. */
const routes: Record<string, ((target: Target) => Request)[]> = {
  listTools: [({ name }) => ({ method: 'GET', path: `/ms7/api/v1/tools/?search=${name}` })],
  createTool: [],
  importTools: [],
  getTool: [({ id }) => ({ method: 'GET', path: `/ms7/api/v1/tools/${id}/` })],
  replaceTool: [
    ({ id }) => ({ method: 'PUT', path: `/ms7/api/v1/tools/${id}/`, body: update('x') }),
    ({ id }) => ({
      method: 'PUT',
      path: `/ms7/api/v1/tools/${id}/`,
      body: {},
      headers: { 'if-match': '"9"' },
    }),
  ],
  changeTool: [({ id }) => ({ method: 'PATCH', path: `/ms7/api/v1/tools/${id}/`, body: { name: 'x' } })],
  deleteTool: [({ id }) => ({ method: 'DELETE', path: `/ms7/api/v1/tools/${id}/` })],
  validateTools: [
    ({ id }) => ({ method: 'POST', path: '/ms7/internal/v1/tools/validate/', body: { tool_ids: [id] } }),
  ],
  executeTools: [({ name }) => execute(name), ({ id }) => execute(id)],
  listExecutions: [
    ({ id }) => ({ method: 'GET', path: `/ms7/api/v1/executions/?tool=${id}` }),
    ({ name }) => ({ method: 'GET', path: `/ms7/api/v1/executions/?tool=${name}` }),
  ],
  health: [],
  readiness: [],
  metrics: [],
};

function execute(name: string): Request {
  return { method: 'POST', path: '/ms7/api/v1/execute/', body: { tool_calls: [{ name }] } };
}

/** Every RPC, by its name. */
const rpcs: Record<string, ((target: Target) => object)[]> = {
  ValidateTools: [({ id }) => ({ toolIds: [id] })],
  GetToolDefinitions: [({ id }) => ({ toolIds: [id] }), ({ id }) => ({ toolIds: [id], format: 'openai' })],
  ExecuteMultipleTools: [({ name }) => ({ toolCalls: [{ name }] })],
  ExecuteTools: [],
  ListExecutions: [({ id }) => ({ tool: id }), ({ name }) => ({ tool: name })],
  ListTools: [({ name }) => ({ search: name })],
  GetTool: [({ id }) => ({ id })],
  CreateTool: [],
  UpdateTool: [
    ({ id }) => ({ tool: { id, name: 'x' } }),
    ({ id }) => ({ tool: { id, etag: '"9"', name: 'x' } }),
  ],
  DeleteTool: [({ id }) => ({ id }), ({ id }) => ({ id, etag: '"9"' })],
};

/** An answer but for what differs between any two. */
function bytesOf({ status, text, headers }: Answer<unknown>, target: Target): object {
  const { date, 'x-request-id': requestId, ...rest } = headers;
  const plain = text
    .replaceAll(target.id, 'ID')
    .replaceAll(target.name, 'NAME')
    .replace(/"(?:duration_ms|durationMs)":\d+,?/g, '');
  const { 'content-length': length, ...same } = rest;
  return { status, text: plain, headers: same };
}

describe("another's tool", () => {
  it('is looked for by every route and every RPC there is', async () => {
    const document = await createHttpClient(service.url)<{
      paths: Record<string, Record<string, { operationId?: string }>>;
    }>('GET', '/openapi.json');
    const operations = Object.values(document.json.paths).flatMap((path) =>
      Object.values(path).flatMap(({ operationId }) => operationId ?? []),
    );
    expect(operations.sort()).toEqual(Object.keys(routes).sort());
    expect(ToolService.methods.map(({ name }) => name).sort()).toEqual(Object.keys(rpcs).sort());
  });

  it.each(
    Object.entries(routes).flatMap(([name, requests]) => requests.map((make, index) => [name, index, make])),
  )('is none to %s (%i)', async (_name, _index, make) => {
    const token = makeToken({ user_id: ann });
    const ask = async (target: Target) => {
      const { method, path, ...options } = (make as (target: Target) => Request)(target);
      return bytesOf(await createHttpClient(service.url, token)(method, path, options), target);
    };
    expect(await ask(foreign)).toEqual(await ask(unknown));
  });

  it.each(
    Object.entries(rpcs).flatMap(([name, requests]) =>
      requests.flatMap((make) => [
        [name, 'a user', make],
        [name, 'a service', make],
        [name, 'an administrator', make],
      ]),
    ),
  )('is none to %s, asked by %s', async (name, who, make) => {
    const token =
      who === 'a service'
        ? SERVICE_SECRET
        : makeToken({ user_id: ann, is_staff: who === 'an administrator' });
    const ask = async (target: Target) => {
      const body = { userId: ann, ...(make as (target: Target) => object)(target) };
      const answer = await createHttpClient(service.url, token)(
        'POST',
        `/tool.ToolService/${name as string}`,
        {
          body,
        },
      );
      return bytesOf(answer, target);
    };
    expect(await ask(foreign)).toEqual(await ask(unknown));
  });

  it('was neither run nor changed by any of this', async () => {
    expect(upstream.requests.length).toBe(1);
  });
});

describe('tools of one name', () => {
  it("are each user's own, before the system's", async () => {
    const name = `shared_${randomUUID().slice(0, 8)}`;
    const body = (owner: string) => ({
      ...webhookInput(name, { url: `${upstream.url}/${owner}` }),
      is_system_tool: owner === 'system',
    });
    const users = Object.fromEntries(
      ['system', 'one', 'two', 'three'].map((owner) => [
        owner,
        createHttpClient(service.url, makeToken({ is_staff: owner === 'system' })),
      ]),
    );
    for (const owner of ['system', 'one', 'two']) {
      const made = await users[owner]?.('POST', '/ms7/api/v1/tools/', { body: body(owner) });
      expect(made?.status).toBe(201);
    }
    for (const [owner, expected] of [
      ['one', '/one'],
      ['two', '/two'],
      ['three', '/system'],
      ['system', '/system'],
    ] as const) {
      const from = upstream.requests.length;
      await users[owner]?.('POST', '/ms7/api/v1/execute/', { body: { tool_calls: [{ name }] } });
      expect(upstream.requests.slice(from).map(({ url }) => url)).toEqual([expected]);
    }
  });
});

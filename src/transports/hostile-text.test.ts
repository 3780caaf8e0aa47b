import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../json.ts';
import { createHttpClient, type Send } from '../testing/http-client.ts';
import { makeToken } from '../testing/make-token.ts';
import { protocols } from '../testing/rpc-clients.ts';
import { isMissing } from '../testing/services.ts';
import { startTestService, type TestService } from '../testing/start-test-service.ts';
import { type StubWebhook, startStubWebhook } from '../testing/stub-webhook.ts';
import { execute } from '../testing/tool-calls.ts';
import { webhookInput } from '../testing/tools-context.ts';

// PostgreSQL stores neither NUL nor lone surrogates, SQLite does: whatever carries them, both answer alike, and neither with
// a fault of its own.

const UNFIT = ['a\0b', '\0', 'a\ud800', '\udc00b', '\ud800\0', `${'x'.repeat(254)}\ud83d`];
const ODD = [
  'a\ufffd',
  'a\u2028b',
  '\u202e',
  '😀'.repeat(100),
  "'; drop table tools; --",
  'a\\u0000',
  '%',
  'x'.repeat(5000),
];
const TOOLS = '/ms7/api/v1/tools/';
const engines = (await isMissing('postgres'))
  ? (['sqlite', 'pglite'] as const)
  : (['sqlite', 'postgres'] as const);

/** The other clients refuse to send a lone surrogate. */
const carriers = protocols.filter(({ name }) => name === 'gRPC' || name === 'Connect (JSON)');

describe.each(engines)('texts that cannot be stored, on %s', (engine) => {
  let service: TestService;
  let webhook: StubWebhook;
  let send: Send;
  const token = makeToken({ user_id: randomUUID() });
  const secret = 'the-secret-of-a-service-in-this-test';
  beforeAll(async () => {
    [service, webhook] = await Promise.all([
      startTestService({ SERVICE_TOKENS: `nodes:${secret}`, RPC_AUTH: 'trusted-network' }, { engine }),
      startStubWebhook(),
    ]);
    send = createHttpClient(service.url, token);
    for (const name of ['plain', 'a\ufffd']) {
      const made = await send('POST', TOOLS, { body: webhookInput(name, { url: webhook.url }) });
      expect(made.status).toBe(201);
    }
  });
  afterAll(async () => {
    await service.close();
    await webhook[Symbol.asyncDispose]();
    // Nothing of all this was a fault.
    expect(service.log.filter(({ level }) => Number(level) >= 50)).toEqual([]);
  });

  it('are no names of tools to be made, changed or imported', async () => {
    const words = ['Null characters and lone surrogates are not allowed.'];
    const { json } = await send<{ id: string }[]>('GET', TOOLS);
    for (const name of UNFIT) {
      const made = await send('POST', TOOLS, { body: webhookInput(name, { url: webhook.url }) });
      expect([made.status, made.json]).toMatchObject([400, { name: words }]);
      const changed = await send('PATCH', `${TOOLS}${json[0]?.id}/`, { body: { name } });
      expect(changed.status).toBeLessThan(500);
      const imported = await send<{ results: { status: string }[] }>('POST', `${TOOLS}import/`, {
        body: {
          document: [
            { type: 'function', function: { name, description: 'd', parameters: { type: 'object' } } },
          ],
          execution: { type: 'webhook', url: webhook.url },
        },
      });
      expect([imported.status, imported.json.results.map(({ status }) => status)]).toEqual([
        200,
        ['refused'],
      ]);
    }
  });

  it('name no tool in a call, and are kept of it in the history as what can be shown', async () => {
    for (const name of UNFIT) {
      const [result] = await execute(send, [{ id: name, name, arguments: {} }], { 'x-request-id': 'r\xff' });
      expect(result?.error_code).toBe('tool_not_found');
    }
    const [odd, ...others] = await execute(send, [
      { id: '\0', name: 'a\ufffd', arguments: { text: '\0\ud800' } },
      ...ODD.slice(1).map((name) => ({ id: name, name })),
    ]);
    expect(odd?.status).toBe('success');
    expect(others.map((result) => result.error_code)).toEqual(others.map(() => 'tool_not_found'));
    await expect
      .poll(async () => (await send<unknown[]>('GET', '/ms7/api/v1/executions/')).json.length, {
        timeout: 5000,
      })
      .toBe(UNFIT.length + ODD.length);
    const { json } = await send<{ tool_name: string; tool_call_id: string }[]>(
      'GET',
      '/ms7/api/v1/executions/',
    );
    const names = json.map(({ tool_name: name, tool_call_id: id }) => [name, id]);
    expect(names).toContainEqual(['a\ufffdb', 'a\ufffdb']);
    expect(names).toContainEqual(['\ufffd\ufffd', '\ufffd\ufffd']);
    expect(names).toContainEqual(['a\ufffd', '\ufffd']);
    expect(names.flat().every((text) => !text.includes('\0') && text.isWellFormed())).toBe(true);
  });

  it('find nothing, or are refused, wherever something is looked for', async () => {
    for (const text of [...UNFIT, ...ODD.slice(1)]) {
      // A URL carries no lone surrogate: what stands for it then is another text.
      const value = encodeURIComponent(text.toWellFormed());
      const cursor = Buffer.from(JSON.stringify(['o', text])).toString('base64url');
      for (const [path, status] of [
        [`${TOOLS}?search=${value}`, 200],
        [`${TOOLS}?cursor=${value}`, 400],
        [`${TOOLS}?tool_type=${value}`, 400],
        [`${TOOLS}${value}/`, 404],
        [`/ms7/api/v1/executions/?tool=${value}`, 200],
        [`/ms7/api/v1/executions/?cursor=${value}`, 400],
      ] as const) {
        const answer = await send('GET', path);
        const expected = text.length > 1000 && path.includes('search') ? 400 : status;
        expect([path.slice(0, 100), answer.status]).toEqual([path.slice(0, 100), expected]);
      }
      expect((await send('GET', `${TOOLS}?cursor=${cursor}`)).status).toBeLessThan(500);
      const validated = await send('POST', '/ms7/internal/v1/tools/validate/', {
        body: { tool_ids: [text] },
      });
      expect(validated.status).toBe(400);
      const body = { tool_calls: [{ name: 'plain', arguments: {}, idempotency_key: text }] };
      expect((await send('POST', '/ms7/api/v1/execute/', { body })).status).toBe(200);
    }
  });

  it.each(carriers)('are answered by $name as any other text', async ({ connect }) => {
    using client = connect(service.url);
    const callers: { token?: string; user?: string }[] = [{ token }, { token: secret }, {}];
    for (const text of [...UNFIT, ...ODD.slice(1, 3)]) {
      for (const { token: as } of callers) {
        const options = as === undefined ? {} : { token: as };
        const toolCalls = [{ id: text, name: text, arguments: { text }, idempotencyKey: text }];
        const requests: [string, JsonObject][] = [
          ['ExecuteMultipleTools', { toolCalls }],
          ['ListTools', { pageToken: text, search: text }],
          ['ListExecutions', { tool: text }],
          ['GetTool', { id: text }],
          ['ValidateTools', { toolIds: [text], userId: text }],
          ['GetToolDefinitions', { toolIds: [text] }],
          ['CreateTool', { tool: { name: text, toolType: text } }],
        ];
        const answers = requests.map(async ([method, request]) => {
          const { code } = await client.call(method, request, options);
          return [method, code];
        });
        for (const [method, code] of await Promise.all(answers)) {
          expect([method, code]).not.toEqual([
            method,
            expect.stringMatching(/^(?:INTERNAL|UNKNOWN|UNAVAILABLE)$/),
          ]);
        }
      }
    }
  });
});

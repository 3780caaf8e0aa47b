import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createHttpClient, said } from '../../testing/http-client.ts';
import { makeToken } from '../../testing/make-token.ts';
import { startTestService } from '../../testing/start-test-service.ts';
import { startStubWebhook } from '../../testing/stub-webhook.ts';
import { createWebhookTool, EXECUTE_PATH, execute, run } from '../../testing/tool-calls.ts';
import { webhookInput } from '../../testing/tools-context.ts';

const service = await startTestService({ MAX_RESPONSE_BYTES: '1024', MAX_CALLS_PER_REQUEST: '3' });
afterAll(() => service.close());
const newUser = () => createHttpClient(service.url, makeToken());

const MAY_HAVE = 'The call may have executed: check before you call again.';
const HAS = 'The call has executed: check before you call again.';
const LATE = `The upstream did not answer in time. ${MAY_HAVE}`;

/** An endpoint that always answers so. */
const startUpstream = (status: number, headers: Record<string, string>, body: string | Buffer = '') =>
  startStubWebhook((_request, response) => response.writeHead(status, headers).end(body));

describe('failures', () => {
  const status = (code: number) =>
    `The upstream answered with HTTP status ${code}.${code < 500 ? '' : ` ${MAY_HAVE}`}`;
  const redirected = (code: number) => `${status(code)} Redirects are not followed.`;
  it.each([
    ...[400, 401, 404, 429, 500, 503].map((code) => [
      code,
      {},
      'an error of ours',
      status(code),
      'upstream_error',
    ]),
    ...[301, 302, 307, 308].map((code) => [
      code,
      { location: '/there' },
      '',
      redirected(code),
      'upstream_error',
    ]),
    [
      200,
      { 'content-type': 'application/json' },
      '{',
      `The upstream answered with a body that is not valid JSON. ${HAS}`,
      'invalid_response',
    ],
    [
      200,
      {},
      Buffer.from([0xff, 0xfe]),
      `The upstream answered with bytes that are not UTF-8 text. ${HAS}`,
      'invalid_response',
    ],
  ] as [number, Record<string, string>, string | Buffer, string, string][])(
    '%i %j: a result that says it in words',
    async (status, headers, body, output, code) => {
      await using upstream = await startUpstream(status, headers, body);
      const send = newUser();
      await createWebhookTool(send, 'one', upstream.url);
      expect(await run(send, { name: 'one' })).toEqual(['error', output, code]);
      expect(upstream.requests.length).toBe(1);
    },
  );

  it('of the connection, the time and the size hold neither address nor credential', async () => {
    const send = newUser();
    await using silent = await startStubWebhook(() => {});
    await using large = await startUpstream(200, {}, 'x'.repeat(1025));
    const gone = await startStubWebhook();
    await gone[Symbol.asyncDispose]();
    for (const [name, url] of Object.entries({ silent: silent.url, large: large.url, gone: gone.url })) {
      await createWebhookTool(send, name, url);
    }
    const calls = [{ name: 'silent', timeout_ms: 30 }, { name: 'large' }, { name: 'gone' }];
    const results = await execute(send, calls);
    expect(results.map(({ output, error_code: code }) => [output, code])).toEqual([
      [LATE, 'timeout'],
      [`The upstream's response is too large. ${MAY_HAVE}`, 'response_too_large'],
      ['The upstream refused the connection.', 'unreachable'],
    ]);
  });

  it('of the time are by the limit of the service, too', async () => {
    await using limited = await startTestService({ EXECUTION_TIMEOUT: '100ms' });
    await using silent = await startStubWebhook(() => {});
    const send = createHttpClient(limited.url, makeToken());
    await createWebhookTool(send, 'one', silent.url);
    const late = ['error', LATE, 'timeout'];
    expect(await run(send, { name: 'one' })).toEqual(late);
    expect(await run(send, { name: 'one', timeout_ms: 600_000 })).toEqual(late);
  });

  it('of the time are by the definition where it says so', async () => {
    await using silent = await startStubWebhook(() => {});
    const send = newUser();
    const create = (timeoutMs: unknown) => {
      const body = webhookInput('one', { url: silent.url, timeout_ms: timeoutMs });
      return send('POST', '/ms7/api/v1/tools/', { body });
    };
    for (const wrong of [99, 300_001, 1.5, '200', null]) {
      const message = "Webhook 'timeout_ms' must be a whole number from 100 to 300000.";
      expect((await create(wrong)).json).toEqual({ definition: [message] });
    }
    expect((await create(100)).status).toBe(201);
    const late = ['error', LATE, 'timeout'];
    expect(await run(send, { name: 'one' })).toEqual(late);
  });

  it('of an address that is not allowed any more do not name it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tool-service-'));
    await using webhook = await startStubWebhook();
    const token = makeToken();
    {
      await using allowed = await startTestService({}, { folder });
      const send = createHttpClient(allowed.url, token);
      await createWebhookTool(send, 'address', webhook.url);
      await createWebhookTool(send, 'name', webhook.url.replace('127.0.0.1', 'localhost'));
    }
    const literal = 'The URL must not lead to an address that is not public (Loopback).';
    for (const [allow, named] of [
      ['', 'The URL must not name a host of a private network.'],
      ['10.0.0.0/8', 'The URL leads to an address that is not public.'],
    ] as const) {
      await using strict = await startTestService({ EGRESS_ALLOW: allow }, { folder });
      const send = createHttpClient(strict.url, token);
      expect(await run(send, { name: 'address' })).toEqual(['error', literal, 'forbidden_address']);
      expect(await run(send, { name: 'name' })).toEqual(['error', named, 'forbidden_address']);
    }
    expect(webhook.requests).toEqual([]);
    rmSync(folder, { recursive: true });
  });

  it('of internal functions are results as well', async () => {
    const user = newUser();
    const call = { name: 'discover_contextual_tools' };
    expect(await run(user, { ...call, arguments: { user_id: randomUUID() } })).toEqual([
      'error',
      'user_id may only name the user who calls. Leave it out.',
      'permission_denied',
    ]);
    expect(await run(user, { name: 'get_current_weather', arguments: { location: 'Berlin' } })).toEqual([
      'error',
      expect.stringMatching(/^[^:/]+$/),
      'unreachable',
    ]);
  });
});

describe('a client that leaves', () => {
  it('ends its calls', async () => {
    let arrive: (response: ServerResponse) => void = () => {};
    const arrived = new Promise<ServerResponse>((resolve) => {
      arrive = resolve;
    });
    await using silent = await startStubWebhook((_request, response) => arrive(response));
    const send = newUser();
    await createWebhookTool(send, 'one', silent.url);
    const client = new AbortController();
    const body = { tool_calls: [{ name: 'one' }] };
    const answer = send('POST', EXECUTE_PATH, { body, signal: client.signal });
    const response = await arrived;
    const closed = new Promise((resolve) => response.once('close', resolve));
    client.abort();
    await expect(answer).rejects.toThrow('aborted');
    await closed;
    expect(response.writableFinished).toBe(false);
  });
});

describe('requests that are refused', () => {
  const refused = (message: string) => ({ tool_calls: [message] });
  it.each([
    [{}, refused('This field is required.')],
    [{ tool_calls: null }, refused("'tool_calls' must be a list.")],
    [{ tool_calls: {} }, refused("'tool_calls' must be a list.")],
    [{ tool_calls: [{}] }, refused('[0].name: This field is required.')],
    [{ tool_calls: [{ name: 'a' }, { name: 1 }] }, refused('[1].name: Not a valid string.')],
    [{ tool_calls: [{ name: 'a', id: 1 }] }, refused('[0].id: Not a valid string.')],
    ...['{}', [], null, 1].map((value) => [
      { tool_calls: [{ name: 'a', arguments: value }] },
      refused('[0].arguments: Must be a JSON object.'),
    ]),
    ...['1', 1.5, null].map((value) => [
      { tool_calls: [{ name: 'a', timeout_ms: value }] },
      refused('[0].timeout_ms: A valid integer is required.'),
    ]),
    [
      { tool_calls: [{ name: 'a', timeout_ms: -1 }] },
      refused('[0].timeout_ms: Ensure this value is greater than or equal to 0.'),
    ],
    [
      { tool_calls: Array.from({ length: 4 }, () => ({ name: 'a' })) },
      refused('tool_calls must have no more than 3 entries (MAX_CALLS_PER_REQUEST).'),
    ],
  ] as [object, object][])('%j', async (body, errors) => {
    expect(said(await newUser()('POST', EXECUTE_PATH, { body }))).toEqual([400, JSON.stringify(errors)]);
  });

  it('no calls at all are none', async () => {
    expect(said(await newUser()('POST', EXECUTE_PATH, { body: { tool_calls: [] } }))).toEqual([
      200,
      '{"results":[]}',
    ]);
  });
});

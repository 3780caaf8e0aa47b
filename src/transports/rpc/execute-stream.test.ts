import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import { afterAll, describe, expect, test, vi } from 'vitest';
import type { JsonObject } from '../../json.ts';
import { createHttpClient } from '../../testing/http-client.ts';
import { makeToken } from '../../testing/make-token.ts';
import { connectJson, oldGrpc, type Protocol, protocols } from '../../testing/rpc-clients.ts';
import { startTestService, type TestService } from '../../testing/start-test-service.ts';
import { type SeenRequest, startStubWebhook } from '../../testing/stub-webhook.ts';
import { webhookInput } from '../../testing/tools-context.ts';

const SERVICE_SECRET = 'secret-of-the-service-inference-in-tests';
const METHOD = 'tool.ToolService/ExecuteTools';
/** A call that waits until it is told to end, one that is done at once, and one of a tool that is not there. */
const CALLS = [
  { id: 'a', name: 'slow' },
  { id: 'b', name: 'quick' },
  { id: 'c', name: 'none' },
];
const QUICK = [
  { index: 1, toolCallId: 'b', name: 'quick', status: 'success', output: '"quick"', errorCode: '' },
  { index: 2, toolCallId: 'c', name: 'none', status: 'error', errorCode: 'tool_not_found' },
];
const LARGE = 500 * 1024;
/** In all, more than fits between a client that does not read and a service that waits for it. */
const TOO_LARGE = { calls: 28, characters: 1000 * 1024 };

const service = await startTestService({
  SERVICE_TOKENS: `inference:${SERVICE_SECRET}`,
  MAX_CALLS_PER_REQUEST: '30',
});
afterAll(() => service.close());

const byIndex = (messages: readonly JsonObject[]) =>
  messages.toSorted((one, other) => Number(one.index) - Number(other.index));

async function addTool(token: string, name: string, url: string, where: { readonly url: string } = service) {
  using client = connectJson(where.url);
  const { code } = await client.call('CreateTool', { tool: webhookInput(name, { url }) }, { token });
  expect(code).toBe('OK');
}

/** A new user's tools `slow` and `quick`. */
async function startTools(where?: { readonly url: string }) {
  const events = new EventEmitter();
  const called = once(events, 'called') as Promise<[ServerResponse]>;
  const left = called.then(([response]) => once(response, 'close'));
  const webhook = await startStubWebhook(({ url }, response) => {
    if (url === '/slow') events.emit('called', response);
    else response.end('"quick"');
  });
  const token = makeToken();
  for (const name of ['slow', 'quick']) await addTool(token, name, `${webhook.url}/${name}`, where);
  const endSlow = async () => (await called)[0].end('"slow"');
  return { ...webhook, token, called, left, endSlow };
}

/** A new user's tool `large`, whose outputs are the letter of its arguments over and over. */
async function startLargeTool({ calls, characters }: { calls: number; characters: number }, where = service) {
  const events = new EventEmitter();
  const allAnswered = once(events, 'all answered');
  let answered = 0;
  const webhook = await startStubWebhook(({ body }: SeenRequest, response) => {
    const { letter } = JSON.parse(body) as { letter: string };
    response.end(JSON.stringify(letter.repeat(characters)));
    if (++answered === calls) events.emit('all answered');
  });
  const token = makeToken();
  await addTool(token, 'large', webhook.url, where);
  const letters = Array.from({ length: calls }, (_, index) => String.fromCharCode(97 + index));
  const toolCalls = letters.map((letter) => ({ name: 'large', arguments: { letter } }));
  return { ...webhook, token, toolCalls, letters, allAnswered };
}

describe.each(protocols)('Results by $name', ({ connect }) => {
  test('come as they are done, with the place of their call', async () => {
    await using tools = await startTools();
    using client = connect(service.url);
    const order: unknown[] = [];
    const { token, endSlow } = tools;
    const answer = await client.stream(
      'ExecuteTools',
      { toolCalls: CALLS },
      {
        token,
        async onMessage({ index }) {
          if (order.push(index) === 2) await endSlow();
        },
      },
    );
    expect(answer).toMatchObject({ code: 'OK', message: '' });
    expect(order.at(-1)).toBe(0);
    const slow = { index: 0, toolCallId: 'a', name: 'slow', status: 'success', output: '"slow"' };
    expect(byIndex(answer.messages)).toMatchObject([slow, ...QUICK]);
  });

  test('are none where there are no calls', async () => {
    using client = connect(service.url);
    const answer = await client.stream('ExecuteTools', {}, { token: makeToken() });
    expect(answer).toMatchObject({ code: 'OK', messages: [] });
  });

  test('come whole where they are large, however slowly they are read', async () => {
    await using large = await startLargeTool({ calls: 16, characters: LARGE });
    using client = connect(service.url);
    const { token, toolCalls } = large;
    const { code, messages } = await client.stream(
      'ExecuteTools',
      { toolCalls },
      {
        token,
        async onMessage() {
          await large.allAnswered;
          await setImmediate();
        },
      },
    );
    expect(code).toBe('OK');
    const outputs = byIndex(messages).map(({ output }) => JSON.parse(String(output)) as string);
    expect(outputs.map((output) => [output.length, output[0], output.at(-1)])).toEqual(
      large.letters.map((letter) => [LARGE, letter, letter]),
    );
  });

  test('are those of one run for calls with the same idempotency key', async () => {
    await using webhook = await startStubWebhook();
    using client = connect(service.url);
    const token = makeToken();
    await addTool(token, 'echo', webhook.url);
    const call = { name: 'echo', idempotencyKey: 'order-1', arguments: { n: 1 } };
    const toolCalls = [call, call];
    const first = await client.stream('ExecuteTools', { toolCalls }, { token });
    const other = { ...call, arguments: { n: 2 } };
    const second = await client.stream('ExecuteTools', { toolCalls: [call, other] }, { token });
    const done = { status: 'success', output: '{"n":1}' };
    expect(byIndex(first.messages)).toMatchObject([done, done]);
    expect(byIndex(second.messages)).toMatchObject([done, { errorCode: 'idempotency_conflict' }]);
    expect(webhook.requests.map(({ headers }) => headers['idempotency-key'])).toEqual(['order-1']);
  });
});

describe.each(protocols)('Who is refused by $name', ({ connect }) => {
  const refuse = async (request: JsonObject, token?: string, url = service.url) => {
    using client = connect(url);
    const toolCalls = [{ name: 'get_current_weather' }];
    const { code, message, messages } = await client.stream(
      'ExecuteTools',
      { toolCalls, ...request },
      token === undefined ? {} : { token },
    );
    return [code, message, messages];
  };

  test('hears why, and gets no message', async () => {
    const token = makeToken();
    const missing = 'Authentication credentials were not provided.';
    expect(await refuse({})).toEqual(['UNAUTHENTICATED', missing, []]);
    const foreign = ['PERMISSION_DENIED', 'user_id names another user than the token.', []];
    expect(await refuse({ userId: randomUUID() }, token)).toEqual(foreign);
    const noUuid = ['INVALID_ARGUMENT', 'user_id must be a UUID.', []];
    expect(await refuse({ userId: 'x' }, token)).toEqual(noUuid);
    expect(await refuse({ userId: 'x' }, SERVICE_SECRET)).toEqual(noUuid);
    const toolCalls = Array.from({ length: 31 }, () => ({ name: 'x' }));
    const words = 'tool_calls must have no more than 30 entries (MAX_CALLS_PER_REQUEST).';
    expect(await refuse({ toolCalls }, token)).toEqual(['INVALID_ARGUMENT', words, []]);
  });

  test('is, in a trusted network, who has no credentials: this RPC is not an old one', async () => {
    await using trusting = await startTestService({ RPC_AUTH: 'trusted-network' });
    using client = connect(trusting.url);
    const old = await client.call('ExecuteMultipleTools', { toolCalls: [{ name: 'none' }] });
    expect(old).toMatchObject({ code: 'OK', body: { results: [{ errorCode: 'tool_not_found' }] } });
    const words = 'Authentication credentials were not provided.';
    expect(await refuse({}, undefined, trusting.url)).toEqual(['UNAUTHENTICATED', words, []]);
  });
});

describe('A deadline', () => {
  /** Whether the client counts the time, too, or only says how long it has. */
  const kinds = [
    ['that client and service know', () => ({ timeoutMs: 1000 })],
    [
      'that only the service knows',
      ({ name }: Protocol) => ({
        headers: name.startsWith('gRPC') ? { 'grpc-timeout': '1000m' } : { 'connect-timeout-ms': '1000' },
      }),
    ],
  ] as const;

  test.each(kinds)('%s ends the calls after the results so far', async (_kind, options) => {
    await Promise.all(
      protocols.map(async (protocol) => {
        await using tools = await startTools();
        using client = protocol.connect(service.url);
        const { token } = tools;
        const request = { toolCalls: CALLS };
        const answer = await client.stream('ExecuteTools', request, { token, ...options(protocol) });
        expect([protocol.name, answer.code]).toEqual([protocol.name, 'DEADLINE_EXCEEDED']);
        expect(byIndex(answer.messages)).toMatchObject(QUICK);
        if ('headers' in options(protocol)) expect(answer.message).toBe('the operation timed out');
        await tools.left;
      }),
    );
  });
});

describe.each(protocols)('A client of $name that leaves', ({ connect }) => {
  test('takes its calls along', async () => {
    await using tools = await startTools();
    using client = connect(service.url);
    const leaver = new AbortController();
    const { token, called, left } = tools;
    const messages: JsonObject[] = [];
    const onMessage = async (message: JsonObject) => {
      if (messages.push(message) < 2) return;
      await called;
      leaver.abort();
    };
    const options = { token, signal: leaver.signal, onMessage };
    const stream = client.stream('ExecuteTools', { toolCalls: CALLS }, options);
    await stream.catch(() => undefined);
    expect(byIndex(messages)).toMatchObject(QUICK);
    const start = performance.now();
    await left;
    // Much earlier than by the end of the tool's own time.
    expect(performance.now() - start).toBeLessThan(3000);
  });
});

/** How many RPCs of a method there were, by code. */
async function counts({ url }: TestService, name = METHOD): Promise<Record<string, number>> {
  const { text } = await createHttpClient(url)('GET', '/metrics');
  const lines = text.matchAll(/^rpc_duration_seconds_count\{method="(.+)",code="(.+)"\} (\d+)$/gm);
  return Object.fromEntries(
    [...lines].flatMap(([, method, code, count]) => (method === name ? [[code, Number(count)]] : [])),
  );
}

/** How the log says that RPCs of a method ended. */
function codes({ log }: TestService, name = METHOD): unknown[] {
  return log.filter(({ rpc }) => rpc === name).map(({ code }) => code);
}

function faults({ log }: TestService): unknown[] {
  return log.filter(({ level }) => Number(level) >= 50);
}

/** What a client does that leaves on a message, but not before something else has happened. */
function leaveOn(count: number, before: Promise<unknown>) {
  const leaver = new AbortController();
  let heard = 0;
  const onMessage = async () => {
    if (++heard < count) return;
    await before;
    leaver.abort();
  };
  return { signal: leaver.signal, onMessage };
}

describe.each(protocols)('How a stream by $name ended', ({ connect }) => {
  test('is counted and logged, once each', async () => {
    await using watched = await startTestService({ MAX_MESSAGE_BYTES: '1024' });
    await using tools = await startTools(watched);
    using client = connect(watched.url);
    const { token, left } = tools;
    const toolCalls = CALLS.slice(1);
    await client.stream('ExecuteTools', { toolCalls }, { token });
    await client.stream('ExecuteTools', { toolCalls });
    await client.stream('ExecuteTools', { toolCalls, userId: 'x' }, { token });
    const long = await client.stream('ExecuteTools', { toolCalls: [{ name: 'x'.repeat(2000) }] }, { token });
    expect(long.message).toBe('The message of the request has more than 1024 bytes (MAX_MESSAGE_BYTES).');
    const headers = { 'grpc-timeout': '300m', 'connect-timeout-ms': '300' };
    await client.stream('ExecuteTools', { toolCalls: CALLS }, { token, headers });
    await left;
    const ended = ['ok', 'unauthenticated', 'invalid_argument', 'resource_exhausted', 'deadline_exceeded'];
    await vi.waitFor(() => expect(codes(watched)).toEqual(ended));
    expect(await counts(watched)).toEqual(Object.fromEntries(ended.map((code) => [code, 1])));
    expect(faults(watched)).toEqual([]);
  });

  test('is "canceled" when the client has left', async () => {
    await using watched = await startTestService();
    await using tools = await startTools(watched);
    using client = connect(watched.url);
    const { token, called } = tools;
    const leaving = { token, ...leaveOn(2, called) };
    await client.stream('ExecuteTools', { toolCalls: CALLS }, leaving).catch(() => undefined);
    await vi.waitFor(async () => expect(await counts(watched)).toEqual({ canceled: 1 }), 3000);
    await vi.waitFor(() => expect(codes(watched)).toEqual(['canceled']), 3000);
    expect(faults(watched)).toEqual([]);
  });
});

// The client of the other two reads ahead, whoever reads from it.
const readersOnDemand = protocols.filter(({ name }) => ['gRPC', 'Connect (JSON)'].includes(name));

test.each(readersOnDemand)('a client of $name that leaves amid a result is noticed', async ({ connect }) => {
  await using watched = await startTestService({ MAX_OUTPUT_BYTES: String(64 * 1024 * 1024) });
  await using large = await startLargeTool(TOO_LARGE, watched);
  using client = connect(watched.url);
  const { token, toolCalls, allAnswered } = large;
  const leaving = { token, ...leaveOn(1, allAnswered) };
  await client.stream('ExecuteTools', { toolCalls }, leaving).catch(() => undefined);
  await vi.waitFor(async () => expect(await counts(watched)).toEqual({ canceled: 1 }), 3000);
  await vi.waitFor(() => expect(codes(watched)).toEqual(['canceled']), 3000);
  expect(faults(watched)).toEqual([]);
});

test.each(protocols)('a client of $name that leaves a unary RPC is noticed, too', async ({ connect }) => {
  await using watched = await startTestService();
  await using tools = await startTools(watched);
  using client = connect(watched.url);
  const { token, called, left } = tools;
  const leaver = new AbortController();
  const options = { token, signal: leaver.signal };
  const answer = client.call('ExecuteMultipleTools', { toolCalls: CALLS }, options).catch(() => undefined);
  await called;
  leaver.abort();
  await Promise.all([answer, left]);
  const method = 'tool.ToolService/ExecuteMultipleTools';
  await vi.waitFor(async () => expect(await counts(watched, method)).toEqual({ canceled: 1 }), 3000);
  await vi.waitFor(() => expect(codes(watched, method)).toEqual(['canceled']), 3000);
  const { text } = await createHttpClient(watched.url)('GET', '/metrics');
  expect(text).not.toMatch(/http_request_duration_seconds_count.*ExecuteMultipleTools/);
});

describe.each(protocols)('A service that stops amid a stream by $name', ({ connect }) => {
  test('lets it end', async () => {
    await using stopping = await startTestService({ SHUTDOWN_TIMEOUT: '10s' });
    await using tools = await startTools(stopping);
    using client = connect(stopping.url);
    const { token, called, endSlow } = tools;
    let heard = 0;
    let closed: Promise<void> | undefined;
    const onMessage = async () => {
      if (++heard !== 2) return;
      await called;
      closed = stopping.close();
      await endSlow();
    };
    const answer = await client.stream('ExecuteTools', { toolCalls: CALLS }, { token, onMessage });
    expect(answer.code).toBe('OK');
    expect(byIndex(answer.messages)).toMatchObject([{ output: '"slow"' }, ...QUICK]);
    await closed;
  });

  test('breaks it off when the time to stop is up', async () => {
    await using stopping = await startTestService({ SHUTDOWN_TIMEOUT: '100ms' });
    await using tools = await startTools(stopping);
    using client = connect(stopping.url);
    const { token, called, left } = tools;
    const stream = client
      .stream('ExecuteTools', { toolCalls: CALLS }, { token })
      .then(({ code }) => code)
      .catch(() => 'broken off');
    await called;
    await stopping.close();
    await left;
    expect(await stream).not.toBe('OK');
  });
});

test('stubs of the old service get the results in the order of the calls, as ever', async () => {
  await using tools = await startTools();
  using client = oldGrpc.connect(service.url);
  const { token, called, endSlow } = tools;
  const answer = client.call('ExecuteMultipleTools', { toolCalls: CALLS }, { token });
  await called;
  await endSlow();
  const words =
    'There is no tool named "none". Call one of the tools that you were given, by its exact name.';
  expect(await answer).toMatchObject({ code: 'OK', message: '' });
  expect((await answer).body).toEqual({
    results: [
      { toolCallId: 'a', name: 'slow', status: 'success', output: '"slow"' },
      { toolCallId: 'b', name: 'quick', status: 'success', output: '"quick"' },
      { toolCallId: 'c', name: 'none', status: 'error', output: words },
    ],
  });
});

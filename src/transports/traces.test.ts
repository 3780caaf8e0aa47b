import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../json.ts';
import { createHttpClient } from '../testing/http-client.ts';
import { makeToken } from '../testing/make-token.ts';
import { protocols, type RpcClient } from '../testing/rpc-clients.ts';
import { startTestService } from '../testing/start-test-service.ts';
import { type SeenRequest, startStubWebhook } from '../testing/stub-webhook.ts';
import { createTool, EXECUTE_PATH } from '../testing/tool-calls.ts';
import { startTestCollector, type TestCollector } from '../tracing/test-collector.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
/** What a caller sends that traces itself. */
const PARENT = { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: 'congo=t61rcWkgMzE' };

/** Runs one call of a tool. */
type Run = (url: string, token: string, headers: Record<string, string>) => Promise<void>;

const overRpc =
  (
    index: number,
    run: (client: RpcClient, request: JsonObject, options: object) => Promise<{ code: string }>,
  ): Run =>
  async (url, token, headers) => {
    using client = protocols[index]?.connect(url);
    if (!client) throw new Error('there is no such protocol');
    const request = { toolCalls: [{ id: 'call-1', name: 'flaky' }] };
    expect(await run(client, request, { token, headers })).toMatchObject({ code: 'OK' });
  };

/** A way to run a call, the name of its request's span, and what that span says of it. */
const ways: readonly [way: string, name: string, attributes: object, run: Run][] = [
  [
    'REST',
    `POST ${EXECUTE_PATH}`,
    { 'http.response.status_code': 200 },
    async (url, token, headers) => {
      const body = { tool_calls: [{ id: 'call-1', name: 'flaky' }] };
      const answer = await createHttpClient(url, token)('POST', EXECUTE_PATH, { body, headers });
      expect(answer.status).toBe(200);
    },
  ],
  [
    'gRPC',
    'tool.ToolService/ExecuteMultipleTools',
    { 'rpc.system': 'grpc', 'rpc.grpc.status_code': 0 },
    overRpc(0, (client, request, options) => client.call('ExecuteMultipleTools', request, options)),
  ],
  [
    'a stream of gRPC',
    'tool.ToolService/ExecuteTools',
    { 'rpc.system': 'grpc', 'rpc.grpc.status_code': 0 },
    overRpc(0, (client, request, options) => client.stream('ExecuteTools', request, options)),
  ],
  [
    'a stream of Connect',
    'tool.ToolService/ExecuteTools',
    { 'rpc.system': 'connect_rpc', 'rpc.method': 'ExecuteTools' },
    overRpc(3, (client, request, options) => client.stream('ExecuteTools', request, options)),
  ],
];

/** The trace headers among those of a request. */
function traceOf({ traceparent, tracestate }: IncomingHttpHeaders) {
  return {
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(tracestate === undefined ? {} : { tracestate }),
  };
}

/** An endpoint that fails once, and the tool `flaky` of a new user which calls it by GET. */
async function startFlakyTool(url: string) {
  let isFirst = true;
  const upstream = await startStubWebhook((_request, response) => {
    response.writeHead(isFirst ? 502 : 200).end('"done"');
    isFirst = false;
  });
  const token = makeToken();
  await createTool(createHttpClient(url, token), 'flaky', {
    execution: { url: upstream.url, method: 'GET' },
  });
  return { ...upstream, token };
}

describe.each(ways)('A call over %s', (_way, name, attributes, run) => {
  const tracing = ({ url }: TestCollector) => startTestService({ OTEL_EXPORTER_OTLP_ENDPOINT: url });

  test('is one trace of the request, the tool call and its attempts, which are told upstream', async () => {
    await using collector = await startTestCollector();
    await using service = await tracing(collector);
    await using flaky = await startFlakyTool(service.url);
    await run(service.url, flaky.token, {});
    // Far sooner than a batch goes out by itself.
    await service.close();

    const request = collector.spans.find((span) => span.name === name);
    const tool = collector.spans.find((span) => span.name === 'execute_tool flaky');
    const attempts = collector.spans.filter((span) => span.kind === 3);
    expect(request).toMatchObject({ kind: 2, parentSpanId: '', isError: false, attributes });
    expect(tool).toMatchObject({ kind: 1, traceId: request?.traceId, parentSpanId: request?.spanId });
    expect(tool).toMatchObject({ isError: false, attributes: { 'gen_ai.tool.call.id': 'call-1' } });
    const below = { name: 'GET', traceId: request?.traceId, parentSpanId: tool?.spanId };
    expect(attempts).toHaveLength(2);
    expect(attempts).toMatchObject([
      { ...below, isError: true, attributes: { 'http.response.status_code': 502 } },
      {
        ...below,
        isError: false,
        attributes: { 'http.response.status_code': 200, 'http.request.resend_count': 1 },
      },
    ]);
    expect(flaky.requests.map(({ headers }) => traceOf(headers))).toEqual(
      attempts.map(({ traceId, spanId }) => ({ traceparent: `00-${traceId}-${spanId}-01` })),
    );
  });

  test("continues the caller's trace", async () => {
    await using collector = await startTestCollector();
    await using service = await tracing(collector);
    await using flaky = await startFlakyTool(service.url);
    await run(service.url, flaky.token, PARENT);
    await service.close();

    const spans = collector.spans.filter(({ traceId }) => traceId === TRACE);
    expect(spans.map((span) => span.name).sort()).toEqual([name, 'execute_tool flaky', 'GET', 'GET'].sort());
    expect(spans.find((span) => span.name === name)?.parentSpanId).toBe(SPAN);
    const attempts = spans.filter((span) => span.kind === 3);
    expect(flaky.requests.map(({ headers }) => traceOf(headers))).toEqual(
      attempts.map(({ spanId }) => ({
        traceparent: `00-${TRACE}-${spanId}-01`,
        tracestate: PARENT.tracestate,
      })),
    );
  });

  test('leaves no span where the caller has said not to sample, and says so upstream', async () => {
    await using collector = await startTestCollector();
    await using service = await tracing(collector);
    await using flaky = await startFlakyTool(service.url);
    await run(service.url, flaky.token, { traceparent: `00-${TRACE}-${SPAN}-00` });
    await service.close();

    expect(collector.spans.filter(({ traceId }) => traceId === TRACE)).toEqual([]);
    const unsampled = new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`);
    expect(flaky.requests.map(({ headers }) => headers.traceparent)).toEqual([
      expect.stringMatching(unsampled),
      expect.stringMatching(unsampled),
    ]);
  });

  test("hands the caller's trace on as it is where nothing is exported", async () => {
    await using service = await startTestService();
    await using flaky = await startFlakyTool(service.url);
    await run(service.url, flaky.token, PARENT);
    expect(flaky.requests.map(({ headers }) => traceOf(headers))).toEqual([PARENT, PARENT]);
  });

  test('tells upstream of no trace where there is none', async () => {
    await using service = await startTestService();
    await using flaky = await startFlakyTool(service.url);
    await run(service.url, flaky.token, {});
    expect(flaky.requests.map(({ headers }) => traceOf(headers))).toEqual([{}, {}]);
  });
});

test('a span says how its stream ended', async () => {
  await using collector = await startTestCollector();
  await using service = await startTestService({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
  const called: Promise<unknown>[] = [];
  let onCalled = () => {};
  await using silent = await startStubWebhook((_request, response) => {
    called.push(once(response, 'close'));
    onCalled();
  });
  const token = makeToken();
  await createTool(createHttpClient(service.url, token), 'silent', { execution: { url: silent.url } });
  using client = protocols[0]?.connect(service.url) as RpcClient;
  const request = { toolCalls: [{ name: 'silent' }] };
  const leaver = new AbortController();
  onCalled = () => leaver.abort();
  await client.stream('ExecuteTools', request, { token, signal: leaver.signal });
  onCalled = () => {};
  await client.stream('ExecuteTools', request, { token, headers: { 'grpc-timeout': '100m' } });
  await client.stream('ExecuteTools', request);
  await Promise.all(called);
  await service.close();

  const ended = (name: string) =>
    collector.spans.filter((span) => span.name === name).map(({ attributes }) => attributes['error.type']);
  expect(ended('tool.ToolService/ExecuteTools')).toEqual(['canceled', 'deadline_exceeded', undefined]);
  expect(ended('execute_tool silent')).toEqual(['canceled', 'timeout']);
});

test('what is exported holds no secret, argument, query, path or output', async () => {
  // What the collector is sent, as it is.
  await using collector = await startStubWebhook((_request, response) => response.end());
  await using service = await startTestService({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
  const answer = ({ url }: SeenRequest) =>
    url.startsWith('/broken')
      ? { status: 500, text: 'words-of-a-fault' }
      : { status: 200, text: '"the-output"' };
  await using upstream = await startStubWebhook((request, response) => {
    const { status, text } = answer(request);
    response.writeHead(status, { 'x-of-upstream': 'header-of-upstream' }).end(text);
  });
  const userId = randomUUID();
  const token = makeToken({ user_id: userId });
  const send = createHttpClient(service.url, token);
  const parameters = { type: 'object', properties: { place: { type: 'string' }, word: { type: 'string' } } };
  const execution = (folder: string) => ({
    url: `${upstream.url}/${folder}/{place}?fixed=the-fixed-query`,
    query: { word: '{word}' },
    headers: { 'x-constant': 'the-constant-header' },
    method: 'POST',
    authentication: { type: 'bearer', token: 'the-token-of-upstream' },
  });
  const basic = { type: 'basic', username: 'the-user-name', password: 'the-password' };
  await createTool(send, 'works', { parameters, execution: execution('fine') });
  await createTool(send, 'breaks', {
    parameters,
    execution: { ...execution('broken'), authentication: basic },
  });
  await createTool(send, 'unreachable', {
    parameters,
    execution: { ...execution('none'), url: 'http://127.0.0.1:9' },
  });
  const given = { place: 'the-place', word: 'the-word', note: 'the-note' };
  const calls = ['works', 'breaks', 'unreachable', 'missing'].map((name) => ({ name, arguments: given }));
  const body = { tool_calls: calls.map((call) => ({ ...call, idempotency_key: 'the-key' })) };
  const path = `${EXECUTE_PATH}?asked=the-asked-query`;
  expect((await send('POST', path, { body, headers: { 'x-of-caller': 'header-of-caller' } })).status).toBe(
    200,
  );
  using client = protocols[0]?.connect(service.url) as RpcClient;
  await client.stream('ExecuteTools', { toolCalls: calls }, { token });
  await send('POST', EXECUTE_PATH, { body, token: 'a-token-of-nobody' });
  await service.close();

  expect(upstream.requests.length).toBeGreaterThan(2);
  const exported = collector.requests.map(({ url, headers, body: bytes }) =>
    [url, JSON.stringify(headers), bytes].join('\n'),
  );
  const text = exported.join('\n');
  for (const name of ['works', 'breaks', 'unreachable', 'missing'])
    expect(text).toContain(`execute_tool ${name}`);
  expect(text).toContain('/v1/traces');
  const unsaid = [
    ...['the-fixed-query', 'the-constant-header', 'the-token-of-upstream', 'the-user-name', 'the-password'],
    ...['the-place', 'the-word', 'the-note', 'the-key', 'the-asked-query', 'the-output', 'words-of-a-fault'],
    ...['header-of-upstream', 'header-of-caller', '/fine/', '/broken/', 'a-token-of-nobody', token, userId],
  ];
  for (const word of unsaid) expect(text).not.toContain(word);
});

test('a collector that is away disturbs no call, and holds up the end of the service only for a while', async () => {
  await using service = await startTestService({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' });
  await using flaky = await startFlakyTool(service.url);
  await ways[0]?.[3](service.url, flaky.token, {});
  const start = performance.now();
  await service.close();
  expect(performance.now() - start).toBeLessThan(5000);
  expect(flaky.requests).toHaveLength(2);
});

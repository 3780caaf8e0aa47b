import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { afterAll, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../json.ts';
import { makeToken } from '../../testing/make-token.ts';
import { connectJson, oldProtocols, type Protocol, protocols } from '../../testing/rpc-clients.ts';
import { startTestService } from '../../testing/start-test-service.ts';
import { startStubWebhook } from '../../testing/stub-webhook.ts';
import { webhookInput } from '../../testing/tools-context.ts';

const SERVICE_SECRET = 'secret-of-the-service-inference-in-tests';
const success = (output: unknown) => ({ status: 'success', output: JSON.stringify(output) });
const failure = (errorCode: string, output: string) => ({ status: 'error', errorCode, output });
const MAY_HAVE = 'The call may have executed: check before you call again.';
const EXACTLY = 'Call one of the tools that you were given, by its exact name.';
const notFound = (name: string) => failure('tool_not_found', `There is no tool named "${name}". ${EXACTLY}`);
const weather = { name: 'get_current_weather', arguments: { location: 'Paris' } };
const OFFLINE = failure('unreachable', 'The weather service cannot be reached from here; it may be offline.');

const service = await startTestService({ SERVICE_TOKENS: `inference:${SERVICE_SECRET}` });
afterAll(() => service.close());

async function addTool(token: string, name: string, url: string, where = service) {
  const tool = webhookInput(name, { url });
  const { body } = await connectJson(where.url).call('CreateTool', { tool }, { token });
  return String(body.id);
}

/** A new user's tool `echo`. */
async function startEchoTool() {
  const [token, webhook] = [makeToken(), await startStubWebhook()];
  await addTool(token, 'echo', webhook.url);
  return { ...webhook, token };
}

type Caller = { readonly token?: string; readonly userId?: string; readonly url?: string };

/** Runs calls of these names and arguments; the ids are their numbers. */
async function execute({ connect }: Protocol, calls: JsonObject[], { url, userId = '', ...caller }: Caller) {
  using client = connect(url ?? service.url);
  const toolCalls = calls.map((call, index) => ({ id: String(index), ...call }));
  const answer = await client.call('ExecuteMultipleTools', { toolCalls, userId }, caller);
  const results = (answer.body.results ?? []) as JsonObject[];
  return { ...answer, results, result: results[0] };
}

/** A user's tool `silent`, which never answers, and tells when it was called and when its caller went away. */
async function startSilentTool(token: string) {
  const events = new EventEmitter();
  const [called, left] = [once(events, 'called'), once(events, 'left')];
  const webhook = await startStubWebhook((_request, response) => {
    response.once('close', () => events.emit('left'));
    events.emit('called');
  });
  await addTool(token, 'silent', webhook.url);
  return { ...webhook, called, left };
}

describe.each(oldProtocols)('Calls by $name', (protocol) => {
  test('run in parallel, and are answered in their order', async () => {
    const waiting: (() => void)[] = [];
    await using webhook = await startStubWebhook(({ body }, response) => {
      waiting.push(() => response.end(body));
      // None is answered before all have come, and the last is answered first.
      if (waiting.length === 5) for (const answer of waiting.reverse()) answer();
    });
    const token = makeToken();
    await addTool(token, 'echo', webhook.url);
    const calls = [1, 2, 3, 4, 5].map((n) => ({ name: 'echo', arguments: { n } }));
    const { results } = await execute(protocol, calls, { token });
    const expected = calls.map((call, index) => ({ toolCallId: `${index}`, ...success(call.arguments) }));
    expect(results).toMatchObject(expected);
  });

  test('carry arguments as they are', async () => {
    await using echo = await startEchoTool();
    const input = {
      integers: [3, -7, 0, 9007199254740991],
      fraction: 2.5,
      nested: { list: [[], {}, [{ deep: [true, false, null] }]], empty: '' },
      text: 'naïve 日本語 😀 "quoted" \\ \n',
      constructor: 'own',
    };
    const { result } = await execute(protocol, [{ name: 'echo', arguments: input }], { token: echo.token });
    const body = echo.requests[0]?.body;
    expect(JSON.parse(String(body))).toEqual(input);
    expect(body).toContain('"integers":[3,-7,0,9007199254740991],"fraction":2.5');
    expect(body).toContain('naïve 日本語 😀');
    expect(result).toMatchObject({ status: 'success', output: body });
  });
});

test('an argument that JSON cannot carry is refused', async () => {
  await using echo = await startEchoTool();
  const words = 'Invalid arguments. /list/0/a~1b: expected a finite number. Correct them and call again.';
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    const calls = [{ name: 'echo', arguments: { list: [{ 'a/b': value }] } }, { name: 'echo' }];
    const { results } = await execute(protocols[0] as Protocol, calls, { token: echo.token });
    expect(results).toMatchObject([failure('invalid_arguments', words), success({})]);
  }
});

describe.each(protocols)('Whose tools by $name', (protocol) => {
  test("are one's own, then the system's, and never another's", async () => {
    await using webhook = await startStubWebhook();
    const [alice, bob] = [makeToken(), makeToken()];
    await addTool(alice, 'get_current_weather', webhook.url);
    await addTool(alice, "alice's", webhook.url);
    const mine = { name: "alice's" };
    const ofAlice = await execute(protocol, [weather, mine], { token: alice });
    expect(ofAlice.results).toMatchObject([success({ location: 'Paris' }), success({})]);
    const ofBob = await execute(protocol, [weather, mine, { name: 'constructor' }], { token: bob });
    expect(ofBob.results).toMatchObject([OFFLINE, notFound("alice's"), notFound('constructor')]);
    expect(webhook.requests).toHaveLength(2);
  });

  test('are those of the user whom a service names, else of the system alone', async () => {
    await using webhook = await startStubWebhook();
    const userId = randomUUID();
    await addTool(makeToken({ user_id: userId }), 'mine', webhook.url);
    const calls = [{ name: 'mine' }, weather];
    const token = SERVICE_SECRET;
    const named = await execute(protocol, calls, { token, userId: userId.toUpperCase() });
    expect(named.results).toMatchObject([success({}), OFFLINE]);
    for (const nobody of ['', randomUUID()]) {
      const { results } = await execute(protocol, calls, { token, userId: nobody });
      expect(results).toMatchObject([notFound('mine'), OFFLINE]);
    }
    const refused = await execute(protocol, calls, { token, userId: 'x' });
    expect(refused).toMatchObject({ code: 'INVALID_ARGUMENT', message: 'user_id must be a UUID.' });
  });

  test('are, in a trusted network and without a user, those of which there is one of the name', async () => {
    await using trusting = await startTestService({ RPC_AUTH: 'trusted-network' });
    await using webhook = await startStubWebhook();
    const userId = randomUUID();
    const alice = makeToken({ user_id: userId });
    await addTool(alice, 'only', webhook.url, trusting);
    for (const token of [alice, makeToken()]) {
      await addTool(token, 'both', webhook.url, trusting);
      await addTool(token, 'get_current_weather', webhook.url, trusting);
    }
    const calls = [{ name: 'only' }, { name: 'both' }, weather];
    const { results } = await execute(protocol, calls, { url: trusting.url });
    expect(results).toMatchObject([success({}), notFound('both'), OFFLINE]);
    const ofAlice = await execute(protocol, calls, { url: trusting.url, userId });
    expect(ofAlice.results).toMatchObject([success({}), success({}), success({ location: 'Paris' })]);
  });
});

describe.each(protocols)('Failures by $name', (protocol) => {
  test('are results with a code, and leave the other calls alone', async () => {
    await using echo = await startEchoTool();
    const { token } = echo;
    await using _silent = await startSilentTool(token);
    await using broken = await startStubWebhook((_request, response) => response.writeHead(503).end('{}'));
    await addTool(token, 'broken', `${broken.url}/?key=query`);
    const calls = [
      { name: 'silent', timeoutMs: 200 },
      { name: 'broken', timeoutMs: 10_000 },
      { name: 'echo', timeoutMs: -1 },
      { name: 'get_current_weather', arguments: { location: 3 } },
    ];
    const { code, results } = await execute(protocol, calls, { token });
    expect(code).toBe('OK');
    expect(results).toMatchObject([
      { ...failure('timeout', results[0]?.output as string), durationMs: expect.any(Number) },
      failure('upstream_error', `The upstream answered with HTTP status 503. ${MAY_HAVE}`),
      { ...success({}), errorCode: '' },
      { errorCode: 'invalid_arguments', output: expect.stringContaining('/location') },
    ]);
    expect(results[0]?.durationMs).toBeGreaterThanOrEqual(190);
    expect(JSON.stringify(results)).not.toMatch(/query|127\.0\.0\.1/);
  });
});

test('the deadline of the caller reaches the webhook, and is told as a timeout', async () => {
  await Promise.all(
    protocols.map(async (protocol) => {
      const token = makeToken();
      await using silent = await startSilentTool(token);
      using client = protocol.connect(service.url);
      const request = { toolCalls: [{ name: 'silent' }] };
      const { code, body } = await client.call('ExecuteMultipleTools', request, { token, timeoutMs: 600 });
      await silent.left;
      // All but the plain client of Connect have a timer of their own, which may be first.
      if (protocol.name !== 'Connect (JSON)' && code === 'DEADLINE_EXCEEDED') return;
      expect(body).toMatchObject({ results: [{ status: 'error', errorCode: 'timeout' }] });
    }),
  );
});

test('a caller who goes away takes the calls along', async () => {
  await Promise.all(
    protocols.map(async (protocol) => {
      const token = makeToken();
      await using silent = await startSilentTool(token);
      using client = protocol.connect(service.url);
      const controller = new AbortController();
      const request = { toolCalls: [{ name: 'silent' }] };
      const call = client.call('ExecuteMultipleTools', request, { token, signal: controller.signal });
      const gone = call.catch(() => undefined);
      await silent.called;
      controller.abort();
      await Promise.all([gone, silent.left]);
    }),
  );
});

describe.each(protocols)('The built-in tools by $name', (protocol) => {
  test('get_current_weather asks Open-Meteo', async () => {
    await using openMeteo = await startStubWebhook(({ url }, response) => {
      const places = { results: [{ name: 'Paris', country: 'France', latitude: 48.85, longitude: 2.35 }] };
      const forecast = { current: { temperature_2m: 20.6, weather_code: 3 } };
      response.end(JSON.stringify(url.startsWith('/v1/search') ? places : forecast));
    });
    const { url } = openMeteo;
    await using online = await startTestService({ WEATHER_GEOCODING_URL: url, WEATHER_FORECAST_URL: url });
    const { result } = await execute(protocol, [weather], { token: makeToken(), url: online.url });
    const answer = { location: 'Paris, France', temperature: '21°C', condition: 'Overcast' };
    expect(result).toMatchObject(success(answer));
    expect(openMeteo.requests.map(({ url }) => url)).toEqual([
      '/v1/search?name=Paris&count=1',
      '/v1/forecast?latitude=48.85&longitude=2.35&current=temperature_2m%2Cweather_code',
    ]);
  });

  test("discover_contextual_tools finds one's own and the system's tools", async () => {
    const [userId, url] = [randomUUID(), 'https://tools.example/hook'];
    const token = makeToken({ user_id: userId });
    const own = await addTool(token, 'weather of mine', url);
    const foreign = await addTool(makeToken(), 'weather of another', url);
    const discover = async (input: JsonObject, caller: { token: string; userId?: string } = { token }) => {
      const calls = [{ name: 'discover_contextual_tools', arguments: input }];
      const { result } = await execute(protocol, calls, caller);
      if (result?.status !== 'success') return result;
      return (JSON.parse(String(result.output)) as JsonObject[]).map(({ name }) => name).sort();
    };
    const found = ['get_current_weather', 'weather of mine'];
    expect(await discover({ query: 'the weather' })).toEqual(found);
    expect(await discover({ query: 'weather', user_id: userId.toUpperCase() })).toEqual(found);
    expect(await discover({ tool_ids: [own, foreign] })).toEqual(['weather of mine']);
    expect(await discover({ query: 'weather' }, { token: SERVICE_SECRET, userId })).toEqual(found);
    expect(await discover({ query: 'weather' }, { token: SERVICE_SECRET })).toEqual(['get_current_weather']);
    const refused = failure('permission_denied', 'user_id may only name the user who calls. Leave it out.');
    expect(await discover({ query: 'weather', user_id: randomUUID() })).toMatchObject(refused);
    const noUuid = failure('invalid_arguments', 'tool_ids must be UUIDs.');
    expect(await discover({ tool_ids: ['x'] })).toMatchObject(noUuid);
  });
});

import { afterAll, describe, expect, it } from 'vitest';
import { createHttpClient } from '../../testing/http-client.ts';
import { makeToken } from '../../testing/make-token.ts';
import { startTestService } from '../../testing/start-test-service.ts';
import { startStubWebhook } from '../../testing/stub-webhook.ts';
import {
  type CallResult,
  createWebhookTool,
  EXECUTE_PATH,
  execute,
  run,
  UPSTREAM_QUERY,
  UPSTREAM_TOKEN,
} from '../../testing/tool-calls.ts';

const service = await startTestService();
afterAll(() => service.close());
const newUser = () => createHttpClient(service.url, makeToken());

/** An endpoint that always answers so. */
const startUpstream = (status: number, headers: Record<string, string>, body: string | Buffer = '') =>
  startStubWebhook((_request, response) => response.writeHead(status, headers).end(body));

describe('calls', () => {
  it('run all at once, and their results come in the order of the calls', async () => {
    const waiting: (() => void)[] = [];
    // Nobody is answered before all 20 are there, and then the last one first.
    await using webhook = await startStubWebhook(({ body }, response) => {
      waiting.push(() => response.setHeader('content-type', 'application/json').end(body));
      if (waiting.length === 20) for (const answer of waiting.toReversed()) answer();
    });
    const send = newUser();
    await createWebhookTool(send, 'echo', webhook.url);
    const calls = Array.from({ length: 20 }, (_, index) => ({
      id: `call-${index % 7}`,
      name: 'echo',
      arguments: { index },
    }));
    const results = await execute(send, calls);
    expect(results).toEqual(
      calls.map(({ id, name, arguments: { index } }) => ({
        tool_call_id: id,
        name,
        status: 'success',
        output: `{"index":${index}}`,
        duration_ms: expect.any(Number),
      })),
    );
    expect(Object.keys(results[0] ?? {}).join()).toBe('tool_call_id,name,status,output,duration_ms');
  });

  it('send the arguments, the credential and the id of the request, and nothing of the caller', async () => {
    await using webhook = await startStubWebhook();
    const send = newUser();
    await createWebhookTool(send, 'echo', `${webhook.url}/path`);
    const input = { text: 'é\u{1F600}\n', whole: 3, nested: { list: [1, [2.5, null], { a: true }] } };
    const results = await execute(send, [{ name: 'echo', arguments: input }, { name: 'echo' }], {
      'x-request-id': 'a-request',
    });
    expect(results.map(({ output }) => output).toSorted()).toEqual([JSON.stringify(input), '{}'].toSorted());
    const sent = webhook.requests.find(({ body }) => body !== '{}');
    expect(sent).toMatchObject({
      method: 'POST',
      url: `/path?${UPSTREAM_QUERY}`,
      body: JSON.stringify(input),
    });
    expect(sent?.headers).toMatchObject({
      'content-type': 'application/json',
      authorization: `Bearer ${UPSTREAM_TOKEN}`,
      'x-request-id': 'a-request',
    });
  });

  it('fail each on its own', async () => {
    await using webhook = await startStubWebhook();
    await using broken = await startStubWebhook((_request, response) => response.socket?.destroy());
    const send = newUser();
    await createWebhookTool(send, 'echo', webhook.url, { required: ['a'] });
    await createWebhookTool(send, 'broken', broken.url);
    const calls = ['broken', 'echo', 'none', 'echo'].map((name, index) => ({
      name,
      arguments: index === 3 ? {} : { a: index },
    }));
    const results = await execute(send, calls);
    expect(results.map(({ status, error_code: code }) => code ?? status)).toEqual([
      'unreachable',
      'success',
      'tool_not_found',
      'invalid_arguments',
    ]);
    expect(Object.keys(results[0] ?? {}).join()).toBe(
      'tool_call_id,name,status,output,error_code,duration_ms',
    );
  });

  it("reach the caller's own tools, then the system's, and nobody else's", async () => {
    await using webhook = await startStubWebhook();
    const [send, other] = [newUser(), newUser()];
    await createWebhookTool(send, 'mine', webhook.url);
    await createWebhookTool(send, 'discover_contextual_tools', webhook.url);
    const call = { name: 'discover_contextual_tools', arguments: { query: 'mine' } };
    expect(await run(send, call)).toEqual(['success', '{"query":"mine"}']);
    expect(await run(other, call)).toEqual(['success', '[]']);
    for (const name of ['mine', 'Mine', 'constructor', '__proto__', '', 'x'.repeat(101)]) {
      const shown = name.length > 100 ? `${'x'.repeat(100)}…` : name;
      const words = `There is no tool named "${shown}". Call one of the tools that you were given, by its exact name.`;
      expect(await run(other, { name })).toEqual(['error', words, 'tool_not_found']);
    }
    expect(webhook.requests.length).toBe(1);
  });

  it('have their arguments checked against the parameters before anything is sent', async () => {
    await using webhook = await startStubWebhook();
    const send = newUser();
    await createWebhookTool(send, 'strict', webhook.url, {
      type: 'object',
      properties: { count: { type: 'integer', minimum: 1 } },
      required: ['count'],
      additionalProperties: false,
    });
    const refused = (words: string) => ['error', `Invalid arguments. ${words}`, 'invalid_arguments'];
    expect(await run(send, { name: 'strict', arguments: { count: 0 } })).toEqual(
      refused('/count: expected a number of at least 1, got the number 0. Correct them and call again.'),
    );
    expect((await run(send, { name: 'strict' }))[2]).toBe('invalid_arguments');
    const body = '{"tool_calls":[{"name":"strict","arguments":{"count":1e400}}]}';
    const { json } = await send<{ results: CallResult[] }>('POST', EXECUTE_PATH, { body });
    expect(json.results[0]?.output).toBe(
      'Invalid arguments. /count: expected a finite number. Correct them and call again.',
    );
    expect(webhook.requests).toEqual([]);
    expect((await run(send, { name: 'strict', arguments: { count: 1 } }))[0]).toBe('success');
  });
});

describe('outputs', () => {
  const json = { 'content-type': 'application/json' };
  it.each([
    ['{ "a" : 1.0, "b": [12345678901234567890, 1e3, -0] }', json, undefined],
    ['12345678901234567890', json, undefined],
    ['1.0', { 'content-type': 'application/problem+json; charset=utf-8' }, undefined],
    ['"ü\u{1F600}"', json, undefined],
    ['null', json, undefined],
    ['ü "quoted"\n', { 'content-type': 'text/plain' }, '"ü \\"quoted\\"\\n"'],
    ['<p>hello</p>', {}, '"<p>hello</p>"'],
    ['', json, 'null'],
    ['', {}, 'null'],
  ])('%j come as they are, or as a JSON string', async (body, headers, output) => {
    await using upstream = await startUpstream(200, headers as Record<string, string>, body);
    const send = newUser();
    await createWebhookTool(send, 'one', upstream.url);
    expect(await run(send, { name: 'one' })).toEqual(['success', output ?? body]);
  });

  it('are null for 204, and what came for every other 2xx', async () => {
    const send = newUser();
    for (const [status, output] of [
      [204, 'null'],
      [201, '1'],
      [202, '1'],
      [299, '1'],
    ] as const) {
      await using upstream = await startUpstream(status, json, status === 204 ? '' : '1');
      await createWebhookTool(send, `of-${status}`, upstream.url);
      expect(await run(send, { name: `of-${status}` })).toEqual(['success', output]);
    }
  });

  it('do not show the credential to the caller', async () => {
    await using upstream = await startUpstream(
      200,
      json,
      JSON.stringify({ seen: `Bearer ${UPSTREAM_TOKEN}` }),
    );
    const send = newUser();
    await createWebhookTool(send, 'one', upstream.url);
    expect(await run(send, { name: 'one' })).toEqual(['success', '{"seen":"Bearer ********"}']);
  });
});

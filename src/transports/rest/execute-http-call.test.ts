import { randomUUID } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { createHttpClient } from '../../testing/http-client.ts';
import { makeToken } from '../../testing/make-token.ts';
import { startTestService } from '../../testing/start-test-service.ts';
import { startStubWebhook } from '../../testing/stub-webhook.ts';
import { createTool, run } from '../../testing/tool-calls.ts';

const service = await startTestService();
afterAll(() => service.close());
const newUser = (userId: string = randomUUID()) =>
  createHttpClient(service.url, makeToken({ user_id: userId }));
const text = { type: 'string' };

describe('a call as its definition says it', () => {
  it('places arguments in the path, the query, headers and the body, and the rest beside them', async () => {
    await using upstream = await startStubWebhook();
    const send = newUser();
    await createTool(send, 'one', {
      parameters: { type: 'object', properties: { id: text, tags: {}, page: {}, trace: text, title: text } },
      execution: {
        method: 'PUT',
        url: `${upstream.url}/items/{id}?fixed=1`,
        query: { tag: '{tags}', page: '{page}', missing: '{trace}' },
        headers: { 'X-Title': 'about {title}' },
        body: { data: { title: '{title}', page: '{page}' } },
      },
    });
    const input = { id: 'a/b?c#d', tags: ['x', 'y z'], page: 2, title: 'T', more: [1, { a: null }] };
    const body = { more: [1, { a: null }], data: { title: 'T', page: 2 } };
    expect(await run(send, { name: 'one', arguments: input })).toEqual(['success', JSON.stringify(body)]);
    const [request] = upstream.requests;
    expect(request).toMatchObject({ method: 'PUT', body: JSON.stringify(body) });
    const url = new URL(request?.url ?? '', upstream.url);
    expect(url.pathname).toBe('/items/a%2Fb%3Fc%23d');
    expect([...url.searchParams]).toEqual([
      ['fixed', '1'],
      ['tag', 'x'],
      ['tag', 'y z'],
      ['page', '2'],
    ]);
    expect(request?.headers['x-title']).toBe('about T');
  });

  it('puts what is not placed into the query of a GET', async () => {
    await using upstream = await startStubWebhook();
    const send = newUser();
    await createTool(send, 'one', { execution: { method: 'GET', url: `${upstream.url}/a` } });
    expect((await run(send, { name: 'one', arguments: { q: 'a&b', n: [1, 2] } }))[0]).toBe('success');
    expect(upstream.requests).toMatchObject([{ method: 'GET', url: '/a?q=a%26b&n=1&n=2', body: '' }]);
  });

  it('refuses values that would lead elsewhere', async () => {
    await using upstream = await startStubWebhook();
    const send = newUser();
    await createTool(send, 'one', {
      parameters: { type: 'object', properties: { id: {}, note: {} } },
      execution: { url: `${upstream.url}/items/{id}/x`, headers: { 'x-note': '{note}' } },
    });
    for (const values of [
      { id: '..' },
      { id: '.' },
      { id: '' },
      {},
      { id: { a: 1 } },
      { id: 'a', note: 'b\r\nc: d' },
    ]) {
      expect(await run(send, { name: 'one', arguments: values })).toEqual([
        'error',
        expect.any(String),
        'invalid_arguments',
      ]);
    }
    expect(upstream.requests).toEqual([]);
  });

  it('sets hidden parameters that a model neither sees nor sets', async () => {
    await using upstream = await startStubWebhook();
    const userId = randomUUID();
    const send = newUser(userId);
    const { id } = await createTool(send, 'one', {
      parameters: { type: 'object', properties: { q: text }, additionalProperties: false },
      hidden: {
        tenant: { value: 'acme' },
        user: { from: 'caller.user_id' },
        trace: { from: 'request.id' },
      },
      execution: { url: `${upstream.url}/{tenant}`, headers: { 'x-trace': '{trace}' } },
    });
    const call = { name: 'one', arguments: { q: 'a' } };
    const body = JSON.stringify({ q: 'a', user: userId });
    expect(await run(send, call, { 'x-request-id': 'request-1' })).toEqual(['success', body]);
    expect(upstream.requests).toMatchObject([{ url: '/acme', body, headers: { 'x-trace': 'request-1' } }]);

    expect(await run(send, { name: 'one', arguments: { q: 'a', user: 'another' } })).toEqual([
      'error',
      'Invalid arguments. /user: must not be given. Correct them and call again.',
      'invalid_arguments',
    ]);
    const definitions = await send('POST', '/tool.ToolService/GetToolDefinitions', {
      body: { toolIds: [id] },
    });
    expect(definitions.text).toContain('"parameters"');
    expect(definitions.text).not.toContain('hidden');
    expect(upstream.requests.length).toBe(1);
  });

  it('fills in defaults where the definition asks for it, and checks the rest', async () => {
    await using upstream = await startStubWebhook();
    const send = newUser();
    const parameters = {
      type: 'object',
      properties: { unit: { type: 'string', default: 'celsius' }, n: { type: 'integer' } },
      required: ['unit'],
    };
    await createTool(send, 'with', { parameters, execution: { url: upstream.url, apply_defaults: true } });
    await createTool(send, 'without', { parameters, execution: { url: upstream.url } });
    expect(await run(send, { name: 'with' })).toEqual(['success', '{"unit":"celsius"}']);
    expect((await run(send, { name: 'without' }))[2]).toBe('invalid_arguments');
    expect((await run(send, { name: 'with', arguments: { n: 'x' } }))[2]).toBe('invalid_arguments');
  });

  it('gives the part of the answer that `output` points to, and says when there is none', async () => {
    const answer = { data: { items: [{ id: 1 }, { 'a/b': 'deep' }] } };
    await using upstream = await startStubWebhook((_request, response) =>
      response.end(JSON.stringify(answer)),
    );
    const send = newUser();
    for (const [name, output] of Object.entries({
      deep: '/data/items/1/a~1b',
      none: '/data/0',
      proto: '/__proto__',
    })) {
      await createTool(send, name, { execution: { url: upstream.url, output } });
    }
    expect(await run(send, { name: 'deep' })).toEqual(['success', '"deep"']);
    for (const [name, pointer] of [
      ['none', '/data/0'],
      ['proto', '/__proto__'],
    ] as const) {
      const words = `The upstream's answer has nothing at ${pointer}. The call has executed: check before you call again.`;
      expect(await run(send, { name })).toEqual(['error', words, 'invalid_response']);
    }
  });

  it('reports an output that does not fit output_schema', async () => {
    await using upstream = await startStubWebhook();
    const send = newUser();
    const schema = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] };
    await createTool(send, 'one', { output_schema: schema, execution: { url: upstream.url } });
    expect(await run(send, { name: 'one', arguments: { n: 1 } })).toEqual(['success', '{"n":1}']);
    expect(await run(send, { name: 'one', arguments: { n: 'x' } })).toEqual([
      'error',
      `The tool's output does not fit its output_schema. /n: expected an integer, got the string "x".`,
      'invalid_response',
    ]);
  });

  it('takes no more of an answer than max_response_bytes, the service less', async () => {
    await using upstream = await startStubWebhook((_request, response) => response.end('"12345678"'));
    const send = newUser();
    for (const [name, limit] of Object.entries({ tight: 9, wide: 10 })) {
      await createTool(send, name, { execution: { url: upstream.url, max_response_bytes: limit } });
    }
    expect((await run(send, { name: 'tight' }))[2]).toBe('response_too_large');
    expect(await run(send, { name: 'wide' })).toEqual(['success', '"12345678"']);
  });
});

describe('credentials', () => {
  it.each([
    [
      { type: 'basic', username: 'ann', password: 'pass-word-1' },
      { authorization: 'Basic YW5uOnBhc3Mtd29yZC0x' },
    ],
    [{ type: 'api_key', in: 'header', name: 'X-Api-Key', value: 'key-12345' }, { 'x-api-key': 'key-12345' }],
  ])('%j: sent, and masked where the upstream echoes them', async (authentication, headers) => {
    await using upstream = await startStubWebhook(({ headers: seen }, response) =>
      response.end(JSON.stringify(seen)),
    );
    const send = newUser();
    const made = await createTool(send, 'one', { execution: { url: upstream.url, authentication } });
    const [, output] = await run(send, { name: 'one' });
    expect(upstream.requests[0]?.headers).toMatchObject(headers);
    for (const secret of [...Object.values(headers), 'pass-word-1']) {
      expect(output + JSON.stringify(made)).not.toContain(secret.replace('Basic ', ''));
    }
    expect(output).toContain('********');
  });

  it('of OAuth: one token for many calls, fetched again once when it is refused', async () => {
    let tokens = 0;
    let valid = 'token-number-1';
    await using issuer = await startStubWebhook((_request, response) =>
      response.end(JSON.stringify({ access_token: `token-number-${++tokens}`, expires_in: 3600 })),
    );
    await using upstream = await startStubWebhook(({ headers }, response) =>
      response.writeHead(headers.authorization === `Bearer ${valid}` ? 200 : 401).end('"fine"'),
    );
    const send = newUser();
    const authentication = {
      type: 'oauth2_client_credentials',
      token_url: `${issuer.url}/token`,
      client_id: 'client',
      client_secret: 'client-secret-1',
    };
    await createTool(send, 'one', { execution: { url: upstream.url, authentication } });
    const fine = ['success', '"fine"'];
    expect(await Promise.all(Array.from({ length: 5 }, () => run(send, { name: 'one' })))).toEqual(
      Array.from({ length: 5 }, () => fine),
    );
    expect(tokens).toBe(1);
    valid = 'token-number-2';
    expect(await run(send, { name: 'one' })).toEqual(fine);
    valid = 'none';
    expect(await run(send, { name: 'one' })).toEqual([
      'error',
      'The upstream answered with HTTP status 401.',
      'upstream_error',
    ]);
    expect(tokens).toBe(3);
  });
});

import { getEventListeners } from 'node:events';
import { describe, expect, it, vi } from 'vitest';
import { startStubWebhook } from '../../testing/stub-webhook.ts';
import type { OauthClient } from './credential.ts';
import { clientOf, createGate, errorOf, startTokenEndpoint, startTokens } from './test-support.ts';

const soon = { interval: 2, timeout: 5000 };

describe('many who ask at once', () => {
  it('share one fetch, and then the token', async () => {
    await using endpoint = await startTokenEndpoint();
    await using tokens = startTokens();
    const client = clientOf(endpoint.url);
    const answers = await Promise.all(Array.from({ length: 100 }, () => tokens.get(client)));
    expect(new Set(answers.map(({ text }) => text))).toEqual(new Set(['token-1']));
    expect((await tokens.get({ ...client })).text).toBe('token-1');
    expect(endpoint.requests).toHaveLength(1);
  });

  it('share a failure, which is not kept', async () => {
    const gate = createGate();
    let status = 503;
    await using endpoint = await startStubWebhook(async (_request, response) => {
      await gate.opened;
      response.writeHead(status).end('{"access_token":"late"}');
    });
    await using tokens = startTokens();
    const client = clientOf(endpoint.url);
    const failures = Promise.all(Array.from({ length: 20 }, () => errorOf(tokens.get(client))));
    gate.open();
    const words = "The tool's token endpoint answered with HTTP status 503.";
    expect(new Set((await failures).map(({ message }) => message))).toEqual(new Set([words]));
    expect(endpoint.requests).toHaveLength(1);
    status = 200;
    expect((await tokens.get(client)).text).toBe('late');
  });

  it('leave alone: the fetch goes on for the others', async () => {
    const gate = createGate();
    await using endpoint = await startTokenEndpoint(gate.opened);
    await using tokens = startTokens();
    const client = clientOf(endpoint.url);
    const [first, second, third] = [new AbortController(), new AbortController(), new AbortController()];
    const leaving = errorOf(tokens.get(client, { signal: first.signal }));
    const late = errorOf(tokens.get(client, { signal: second.signal }));
    const staying = tokens.get(client, { signal: third.signal });
    first.abort();
    second.abort(new DOMException('too late', 'TimeoutError'));
    expect(await leaving).toMatchObject({ reason: 'canceled', bytesSent: false });
    expect(await late).toMatchObject({ reason: 'timeout', bytesSent: false });
    await vi.waitFor(() => expect(endpoint.requests).toHaveLength(1), soon);
    gate.open();
    expect((await staying).text).toBe('token-1');
    expect(endpoint.requests).toHaveLength(1);
    expect(getEventListeners(third.signal, 'abort')).toEqual([]);
  });

  it('stop the fetch when the last of them leaves, and whoever comes then begins another', async () => {
    const gate = createGate();
    await using endpoint = await startTokenEndpoint(gate.opened);
    await using tokens = startTokens();
    const client = clientOf(endpoint.url);
    const leaver = new AbortController();
    const leaving = [1, 2].map(() => errorOf(tokens.get(client, { signal: leaver.signal })));
    await vi.waitFor(() => expect(endpoint.requests).toHaveLength(1), soon);
    leaver.abort();
    const next = tokens.get(client);
    await Promise.all(leaving);
    await vi.waitFor(() => expect(endpoint.closed).toHaveLength(1), soon);
    await vi.waitFor(() => expect(endpoint.requests).toHaveLength(2), soon);
    // The fetch that was given up has ended by now, and does not touch the next one.
    const joining = tokens.get(client);
    gate.open();
    expect((await joining).text).toBe((await next).text);
    expect((await tokens.get(client)).text).toBe((await next).text);
    expect(endpoint.requests).toHaveLength(2);
  });

  it('begin nothing when they are gone already', async () => {
    await using endpoint = await startTokenEndpoint();
    await using tokens = startTokens();
    const gone = errorOf(tokens.get(clientOf(endpoint.url), { signal: AbortSignal.abort() }));
    expect(await gone).toMatchObject({ reason: 'canceled', bytesSent: false });
    expect(tokens.dialled).toEqual([]);
  });
});

describe('a token', () => {
  it.each<[string, unknown, number]>([
    ['an hour: a minute less', 3600, 3540],
    ['a minute: a tenth less', 60, 54],
    ['a number in a string', '100', 90],
    ['nothing said: five minutes', undefined, 270],
    ['nonsense: five minutes', 'soon', 270],
    ['null: five minutes', null, 270],
    ['a year: a day at most', 365 * 86_400, 86_340],
    ['no number that ends', '9'.repeat(400), 86_340],
  ])('is kept for its time: %s', async (_what, expiresIn, seconds) => {
    let given = 0;
    await using endpoint = await startStubWebhook((_request, response) => {
      given += 1;
      response.end(JSON.stringify({ access_token: `token-${given}`, expires_in: expiresIn }));
    });
    await using tokens = startTokens();
    const client = clientOf(endpoint.url);
    await tokens.get(client);
    tokens.clock.now += seconds * 1000 - 1;
    expect((await tokens.get(client)).text).toBe('token-1');
    tokens.clock.now += 1;
    expect((await tokens.get(client)).text).toBe('token-2');
  });

  it.each([0, -5])('that lasts %i seconds is used once', async (expiresIn) => {
    await using endpoint = await startStubWebhook((_request, response) => {
      response.end(JSON.stringify({ access_token: 'token', expires_in: expiresIn }));
    });
    await using tokens = startTokens();
    const client = clientOf(endpoint.url);
    expect((await tokens.get(client)).text).toBe('token');
    expect((await tokens.get(client)).text).toBe('token');
    expect(endpoint.requests).toHaveLength(2);
  });

  it('counts its time from the question, not from the answer', async () => {
    const gate = createGate();
    await using endpoint = await startTokenEndpoint(gate.opened);
    await using tokens = startTokens();
    const asked = tokens.get(clientOf(endpoint.url));
    await vi.waitFor(() => expect(endpoint.requests).toHaveLength(1), soon);
    tokens.clock.now += 1000 * 1000;
    gate.open();
    await asked;
    tokens.clock.now += 2540 * 1000;
    expect((await tokens.get(clientOf(endpoint.url))).text).toBe('token-2');
  });

  it.each<[string, Partial<OauthClient>, string]>([
    ['owner', {}, 'another owner'],
    ['secret', { client_secret: 'another' }, 'owner'],
    ['client', { client_id: 'another' }, 'owner'],
    ['scope', { scope: 'write' }, 'owner'],
    ['audience', { audience: 'api' }, 'owner'],
    ['place of the secret', { client_authentication: 'body' }, 'owner'],
  ])('is not given to another %s', async (_what, changes, scope) => {
    await using endpoint = await startTokenEndpoint();
    await using tokens = startTokens();
    const client = clientOf(endpoint.url);
    expect((await tokens.get(client)).text).toBe('token-1');
    expect((await tokens.get({ ...client, ...changes }, { scope })).text).toBe('token-2');
    expect((await tokens.get(client)).text).toBe('token-1');
  });

  it('does not mistake a part of the scope for a part of the client', async () => {
    await using endpoint = await startTokenEndpoint();
    await using tokens = startTokens();
    const one = clientOf(endpoint.url, { scope: 'a', audience: 'b' });
    const other = clientOf(endpoint.url, { scope: 'a","b' });
    expect((await tokens.get(one)).text).not.toBe((await tokens.get(other)).text);
  });
});

describe('renewal', () => {
  it('of 100 at once fetches one token', async () => {
    await using endpoint = await startTokenEndpoint();
    await using tokens = startTokens();
    const client = clientOf(endpoint.url);
    const used = await Promise.all(Array.from({ length: 100 }, () => tokens.get(client)));
    const renewed = await Promise.all(
      used.map(({ renew }) => {
        renew();
        return tokens.get(client);
      }),
    );
    expect(new Set(renewed.map(({ text }) => text))).toEqual(new Set(['token-2']));
    expect(endpoint.requests).toHaveLength(2);
  });

  it('by one who was refused late leaves the newer token, even when it reads the same', async () => {
    await using endpoint = await startStubWebhook((_request, response) => {
      response.end('{"access_token":"same","expires_in":3600}');
    });
    await using tokens = startTokens();
    const client = clientOf(endpoint.url);
    const [early, late] = await Promise.all([tokens.get(client), tokens.get(client)]);
    early.renew();
    const newer = await tokens.get(client);
    late.renew();
    late.renew();
    await tokens.get(client);
    expect(endpoint.requests).toHaveLength(2);
    newer.renew();
    await tokens.get(client);
    expect(endpoint.requests).toHaveLength(3);
  });
});

import { describe, expect, it } from 'vitest';
import { startStubWebhook } from '../../testing/stub-webhook.ts';
import { type Credential, createCredentials, type OutgoingRequest } from './credentials.ts';
import { CLIENT_SECRET, clientOf, startEgress, startTokenEndpoint } from './test-support.ts';

const request: OutgoingRequest = {
  url: 'https://api.example/run?q=a%20b&x=1',
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: '{"a":"é"}',
};

const options = { scope: 'owner', messageId: 'msg_1', signal: new AbortController().signal };

const offline = createCredentials({
  egress: { request: () => Promise.reject(new Error('nothing is to be fetched')) },
  now: () => 1_614_265_330_999,
});

const authorize = (credential: Credential, changes: Partial<OutgoingRequest> = {}) =>
  offline.authorize({ ...request, ...changes }, credential, options);

describe('authorize', () => {
  it('sends a bearer token', async () => {
    const authorized = await authorize({ type: 'bearer', token: 'to-ken' });
    expect(authorized).toEqual({
      ...request,
      headers: { ...request.headers, authorization: 'Bearer to-ken' },
      secrets: ['to-ken'],
    });
    expect(request.headers).toEqual({ 'content-type': 'application/json' });
  });

  it('sends name and password in UTF-8 (the example of RFC 7617)', async () => {
    const authorized = await authorize({ type: 'basic', username: 'test', password: '123\u00a3' });
    expect(authorized.headers.authorization).toBe('Basic dGVzdDoxMjPCow==');
    expect(authorized.secrets).toEqual(['123\u00a3', 'dGVzdDoxMjPCow==']);
  });

  it('sends an API key in a header, in place of any other of the name', async () => {
    const headers = { 'x-api-key': 'of the model', 'X-API-KEY': 'another', 'x-other': 'y' };
    const key = { type: 'api_key', in: 'header', name: 'X-Api-Key', value: 'v a l' } as const;
    const authorized = await authorize(key, { headers });
    expect(authorized.headers).toEqual({ 'x-api-key': 'v a l', 'x-other': 'y' });
    expect(authorized.secrets).toContain('v a l');
  });

  it('appends an API key to the query, encoded, and leaves the rest as it is spelt', async () => {
    const key = { type: 'api_key', in: 'query', name: 'api key', value: "a&b=c#d/é'+*" } as const;
    const authorized = await authorize(key);
    expect(authorized.url).toBe(
      'https://api.example/run?q=a%20b&x=1&api%20key=a%26b%3Dc%23d%2F%C3%A9%27%2B%2A',
    );
    expect(new URL(authorized.url).searchParams.get('api key')).toBe("a&b=c#d/é'+*");
    expect(authorized.secrets).toEqual(["a&b=c#d/é'+*", 'a%26b%3Dc%23d%2F%C3%A9%27%2B%2A']);
    expect((await authorize(key, { url: 'https://api.example' })).url).toMatch(
      /^https:\/\/api\.example\/\?api%20key=a/,
    );
  });

  it('lets no parameter of the model stand in the place of an API key', async () => {
    const key = { type: 'api_key', in: 'query', name: 'key', value: 'real' } as const;
    const url = 'https://api.example/?key=1&k%65y=2&key&keys=3&%6b%65%79=4#key';
    expect((await authorize(key, { url })).url).toBe('https://api.example/?keys=3&key=real#key');
  });

  it('signs exactly the body that is sent, at the time of the attempt', async () => {
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    const body = '{"test": 2432232314}';
    const published = { ...options, messageId: 'msg_p5jXN8AQM9LWM0D4loKWxJek' };
    const keys = { type: 'standard_webhooks', secret } as const;
    const headers = { 'Webhook-Signature': 'v1,forged' };
    const authorized = await offline.authorize({ ...request, headers, body }, keys, published);
    const signature = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=';
    expect(authorized.headers).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': signature,
    });
    expect(authorized.secrets).toEqual([secret, 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', signature]);
  });

  it('signs the empty text where there is no body', async () => {
    const keys = { type: 'standard_webhooks', secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' } as const;
    const { body: _, ...bodiless } = request;
    const empty = await authorize(keys, { body: '' });
    const none = await offline.authorize(bodiless, keys, options);
    expect(none.headers['webhook-signature']).toBe(empty.headers['webhook-signature']);
    expect(none.headers['webhook-signature']).toMatch(/^v1,[A-Za-z0-9+/]{43}=$/);
    expect('body' in none).toBe(false);
  });

  it('has nothing to renew but access tokens', async () => {
    expect((await authorize({ type: 'bearer', token: 't' })).renew).toBeUndefined();
  });
});

describe('authorize with a fetched token', () => {
  it('sends the token, hides all that it was got with, and gets another after a refusal', async () => {
    await using endpoint = await startTokenEndpoint();
    await using upstream = await startStubWebhook(({ headers }, response) => {
      response.writeHead(headers.authorization === 'Bearer token-2' ? 200 : 401).end();
    });
    await using egress = startEgress();
    const credentials = createCredentials({ egress, now: Date.now });
    const client = clientOf(endpoint.url);

    async function call(): Promise<number> {
      const target = { ...request, url: upstream.url };
      const first = await credentials.authorize(target, client, options);
      expect(first.headers.authorization).toMatch(/^Bearer token-[12]$/);
      const token = first.headers.authorization?.slice('Bearer '.length);
      const pair = Buffer.from(`client-1:${CLIENT_SECRET}`).toString('base64');
      expect(first.secrets).toEqual([token, CLIENT_SECRET, pair]);
      const { status } = await egress.request(first);
      if (status !== 401) return status;
      first.renew?.();
      return (await egress.request(await credentials.authorize(target, client, options))).status;
    }

    expect(await Promise.all(Array.from({ length: 100 }, call))).toEqual(Array(100).fill(200));
    expect(endpoint.requests).toHaveLength(2);
  });

  it('ends the wait at its own limit', async () => {
    await using endpoint = await startStubWebhook(() => {});
    await using egress = startEgress();
    const credentials = createCredentials({ egress, now: Date.now, tokenTimeoutMs: 20 });
    await expect(credentials.authorize(request, clientOf(endpoint.url), options)).rejects.toMatchObject({
      reason: 'timeout',
      message: "No access token from the tool's token endpoint: The upstream did not answer in time",
    });
  });
});

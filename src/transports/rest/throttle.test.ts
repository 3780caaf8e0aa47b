import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createHttpClient, said } from '../../testing/http-client.ts';
import { makeToken } from '../../testing/make-token.ts';
import { startTestService } from '../../testing/start-test-service.ts';
import { webhookInput } from '../../testing/tools-context.ts';

const TOOLS = '/ms7/api/v1/tools/';
const VALIDATE = '/ms7/internal/v1/tools/validate/';
const EXECUTE = '/ms7/api/v1/execute/';
const NO_CREDENTIALS = [401, '{"detail":"Authentication credentials were not provided."}'];
const SERVICE = 'a service token of at least 32 characters'.replaceAll(' ', '-');

const throttled = (seconds: number) => [
  429,
  `{"detail":"Request was throttled. Expected available in ${seconds} seconds."}`,
];

/** A service whose clock stands still unless it is moved. */
async function start(settings: Record<string, string>) {
  const clock = { now: Date.UTC(2030, 0, 1) };
  const service = await startTestService(settings, { now: () => clock.now });
  const token = (userId: string = randomUUID()) => {
    const iat = clock.now / 1000;
    return makeToken({ user_id: userId, iat, exp: iat + 7200 });
  };
  return {
    clock,
    token,
    send: createHttpClient(service.url, token()),
    [Symbol.asyncDispose]: service[Symbol.asyncDispose],
  };
}

describe('the limit of a user', () => {
  it('is over all views, and each request counts once, whatever it carries or comes to', async () => {
    await using service = await start({ RATE_LIMIT_USER: '8/hour' });
    const { send } = service;
    const statuses = [
      await send('GET', TOOLS),
      await send('POST', TOOLS, { body: webhookInput('one') }),
      await send('POST', TOOLS, { body: '{' }),
      await send('GET', `${TOOLS}${randomUUID()}/`),
      await send('POST', VALIDATE, { body: {} }),
      await send('POST', EXECUTE, { body: { tool_calls: [{ name: 'a' }, { name: 'b' }, { name: 'c' }] } }),
      await send('HEAD', TOOLS),
      await send('DELETE', TOOLS),
    ].map(({ status }) => status);
    expect(statuses).toEqual([200, 201, 400, 404, 204, 200, 200, 405]);
    for (const [method, path] of [
      ['GET', TOOLS],
      ['POST', TOOLS],
      ['PUT', `${TOOLS}no-uuid/`],
      ['POST', VALIDATE],
      ['POST', EXECUTE],
      ['DELETE', TOOLS],
    ] as const) {
      const answer = await send(method, path);
      expect([said(answer), answer.headers['retry-after']]).toEqual([throttled(3600), '3600']);
      expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
    }
    expect((await send('GET', TOOLS, { token: service.token() })).status).toBe(200);
  });

  it('slides', async () => {
    await using service = await start({ RATE_LIMIT_USER: '2/minute' });
    const { send, clock } = service;
    const get = async () => said(await send('GET', TOOLS));
    expect((await get())[0]).toBe(200);
    clock.now += 30_000;
    expect((await get())[0]).toBe(200);
    expect(await get()).toEqual(throttled(30));
    clock.now += 29_000;
    expect(await get()).toEqual(throttled(1));
    clock.now += 1000;
    expect((await get())[0]).toBe(200);
    expect(await get()).toEqual(throttled(30));
    clock.now += 60_000;
    expect([(await get())[0], (await get())[0]]).toEqual([200, 200]);
  });

  it('is of the user, not of the token or of how the id is spelled', async () => {
    await using service = await start({ RATE_LIMIT_USER: '2/day' });
    const userId = randomUUID();
    const { send, token } = service;
    await send('GET', TOOLS, { token: token(userId) });
    await send('GET', TOOLS, { token: token(userId.toUpperCase()) });
    const answer = await send('GET', TOOLS, { token: token(userId.replaceAll('-', '')) });
    expect(said(answer)).toEqual(throttled(86_400));
  });
});

describe('the limit of those without valid credentials', () => {
  it('is by address, and stands in for 401', async () => {
    await using service = await start({ RATE_LIMIT_ANON: '3/minute' });
    const { send } = service;
    expect(said(await send('GET', TOOLS, { token: null }))).toEqual(NO_CREDENTIALS);
    expect((await send('POST', VALIDATE, { token: 'x' })).status).toBe(401);
    expect((await send('DELETE', TOOLS, { token: null })).status).toBe(401);
    for (const token of [null, 'x', makeToken({ exp: 1 })]) {
      const answer = await send('GET', TOOLS, { token });
      expect([said(answer), answer.headers['retry-after']]).toEqual([throttled(60), '60']);
      expect(answer.headers['www-authenticate']).toBeUndefined();
    }
    expect(said(await send('DELETE', TOOLS, { token: null }))).toEqual(throttled(60));
    expect((await send('GET', TOOLS)).status).toBe(200);
  });

  it('exempts health, documents and paths that are not there', async () => {
    await using service = await start({ RATE_LIMIT_ANON: '1/minute' });
    const { send } = service;
    await send('GET', TOOLS, { token: null });
    for (const path of [
      '/healthz',
      '/readyz',
      '/docs/',
      '/docs/static/swagger-ui.css',
      '/openapi.json',
      '/metrics',
    ]) {
      for (let count = 0; count < 3; count++) {
        expect([path, (await send('GET', path, { token: null })).status]).toEqual([path, 200]);
      }
    }
    expect((await send('OPTIONS', TOOLS, { token: null })).status).toBe(204);
    expect((await send('GET', '/nope', { token: null })).status).toBe(404);
  });

  it('does not believe X-Forwarded-For unless its proxy is trusted', async () => {
    await using service = await start({ RATE_LIMIT_ANON: '1/minute', TRUST_PROXY: '192.0.2.0/24' });
    const from = async (address: string) => {
      const headers = { 'x-forwarded-for': address };
      return said(await service.send('GET', TOOLS, { token: null, headers }));
    };
    expect(await from('198.51.100.1')).toEqual(NO_CREDENTIALS);
    expect(await from('198.51.100.2')).toEqual(throttled(60));
  });

  it('is by the address that a trusted proxy names, of which the last that is not trusted counts', async () => {
    await using service = await start({
      RATE_LIMIT_ANON: '1/minute',
      TRUST_PROXY: '127.0.0.0/8,192.0.2.0/24',
    });
    const from = async (addresses: string) => {
      const headers = { 'x-forwarded-for': addresses };
      return said(await service.send('GET', TOOLS, { token: null, headers }));
    };
    expect(await from('198.51.100.1')).toEqual(NO_CREDENTIALS);
    expect(await from('198.51.100.1')).toEqual(throttled(60));
    expect(await from('198.51.100.2')).toEqual(NO_CREDENTIALS);
    expect(await from('203.0.113.9, 198.51.100.2, 192.0.2.7')).toEqual(throttled(60));
    expect(await from('2001:db8::1')).toEqual(NO_CREDENTIALS);
    expect(await from('2001:db8::2')).toEqual(throttled(60));
  });
});

it('does not limit internal callers', async () => {
  const limits = { RATE_LIMIT_ANON: '1/day', RATE_LIMIT_USER: '1/day' };
  await using service = await start({ ...limits, SERVICE_TOKENS: `one:${SERVICE}` });
  const headers = { 'x-forwarded-for': '198.51.100.1' };
  for (let count = 0; count < 5; count++) {
    expect((await service.send('GET', '/metrics', { token: SERVICE, headers })).status).toBe(200);
  }
});

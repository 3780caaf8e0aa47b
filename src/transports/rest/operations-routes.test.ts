import { afterAll, describe, expect, it } from 'vitest';
import { createHttpClient, said } from '../../testing/http-client.ts';
import { makeToken } from '../../testing/make-token.ts';
import { startTestService } from '../../testing/start-test-service.ts';
import { webhookInput } from '../../testing/tools-context.ts';

const TOOLS = '/ms7/api/v1/tools/';
const SERVICE = 'a-service-token-of-at-least-32-characters';
const FORBIDDEN = [403, '{"detail":"You do not have permission to perform this action."}'];
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

const service = await startTestService({ SERVICE_TOKENS: `one:${SERVICE}`, MAX_BODY_BYTES: '1024' });
afterAll(() => service.close());
const send = createHttpClient(service.url);

describe('metrics', () => {
  it('are shown to who is on this machine', async () => {
    const { status, headers, text } = await send('GET', '/metrics');
    expect([status, headers['content-type']]).toEqual([200, expect.stringMatching(/^text\/plain/)]);
    expect(text).toMatch(/^# (HELP|TYPE) /m);
  });

  it.each([
    ['X-Forwarded-For', '127.0.0.1'],
    ['X-Forwarded-Host', 'tools.example.com'],
    ['X-Forwarded-Proto', 'https'],
    ['X-Real-IP', '127.0.0.1'],
    ['Forwarded', 'for=127.0.0.1'],
    ['Via', '1.1 proxy'],
  ])(
    'are not shown to who comes through a proxy that sends %s, but to services and administrators',
    async (name, value) => {
      const headers = { [name]: value };
      const get = (token: string | null) => send('GET', '/metrics', { token, headers });
      expect(said(await get(null))).toEqual(FORBIDDEN);
      expect(said(await get(makeToken()))).toEqual(FORBIDDEN);
      expect((await get(SERVICE)).status).toBe(200);
      expect((await get(makeToken({ is_staff: true }))).status).toBe(200);
    },
  );

  it('count by route, never by path', async () => {
    await send('GET', `${TOOLS}a-path-of-a-stranger/`, { token: makeToken() });
    await send('GET', '/another-path-of-a-stranger');
    const { text } = await send('GET', '/metrics');
    expect(text).toContain('route="/ms7/api/v1/tools/:id/"');
    expect(text).not.toContain('stranger');
  });
});

describe('every answer', () => {
  it('has the headers of security and an id of its request', async () => {
    const token = makeToken();
    const made = await send<{ id: string }>('POST', TOOLS, { token, body: webhookInput('one') });
    const own = `${TOOLS}${made.json.id}/`;
    const { json } = await send<{ id: string }[]>('GET', `${TOOLS}?search=weather`, { token });
    const system = `${TOOLS}${json[0]?.id}/`;
    const etag = made.headers.etag;
    const text = { 'content-type': 'text/plain' };
    const answers = [
      made,
      await send('GET', TOOLS, { token }),
      await send('HEAD', own, { token }),
      await send('OPTIONS', own),
      await send('GET', own, { token, headers: { 'if-none-match': etag } }),
      await send('POST', TOOLS, { token, body: '{' }),
      await send('GET', TOOLS),
      await send('DELETE', system, { token }),
      await send('GET', `${TOOLS}x/`, { token }),
      await send('GET', '/nope'),
      await send('PUT', TOOLS, { token }),
      await send('POST', TOOLS, { token, body: webhookInput('one') }),
      await send('DELETE', own, { token, headers: { 'if-match': '"x"' } }),
      await send('POST', TOOLS, { token, body: ' '.repeat(1025) }),
      await send('POST', TOOLS, { token, body: '{}', headers: text }),
      await send('DELETE', own, { token }),
      await send('POST', '/ms7/internal/v1/tools/validate/', { token, body: { tool_ids: ['x'] } }),
      await send('POST', '/ms7/api/v1/execute/', { token, body: { tool_calls: [] } }),
      await send('GET', '/docs/'),
      await send('GET', '/docs/static/swagger-ui.css'),
      ...(await Promise.all(
        ['/openapi.json', '/healthz', '/readyz', '/metrics'].map((path) => send('GET', path)),
      )),
    ];
    expect(answers.map(({ status }) => status)).toEqual([
      ...[201, 200, 200, 204, 304, 400, 401, 403, 404, 404, 405, 409, 412, 413, 415, 204],
      ...[400, 200, 200, 200, 200, 200, 200, 200],
    ]);
    for (const { headers } of answers) {
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'same-origin',
        'x-request-id': expect.stringMatching(UUID),
      });
    }
    // A page's own assets may be kept by a browser.
    for (const { headers } of answers.filter(
      ({ headers }) => headers['content-type'] !== 'text/css; charset=utf-8',
    )) {
      expect(headers['cache-control']).toBe('private, no-cache');
    }
    expect(new Set(answers.map(({ headers }) => headers['x-request-id'])).size).toBe(answers.length);
  });

  it('has the id that the caller gave, where it may go into headers and logs', async () => {
    const idOf = async (headers: Record<string, string>) =>
      (await send('GET', '/healthz', { headers })).headers['x-request-id'];
    for (const id of ['1', 'a.b:c/d+e=f@g_h-i', 'x'.repeat(128)]) {
      expect(await idOf({ 'x-request-id': id })).toBe(id);
      expect(await idOf({ 'x-correlation-id': id })).toBe(id);
      expect(await idOf({ 'x-request-id': id, 'x-correlation-id': 'other' })).toBe(id);
    }
    for (const id of ['', 'a b', 'x'.repeat(129), '"', '<x>', 'a,b', '{"a":1}', 'é']) {
      expect(await idOf({ 'x-request-id': id })).toMatch(UUID);
    }
  });
});

import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Sqlite } from '../../db/sqlite/driver.ts';
import { createHttpClient, said } from '../../testing/http-client.ts';
import { makeToken } from '../../testing/make-token.ts';
import { startTestService } from '../../testing/start-test-service.ts';
import { webhookInput } from '../../testing/tools-context.ts';

const TOOLS = '/ms7/api/v1/tools/';
const ID = '00000000-0000-4000-8000-000000000000';

/** A body that is too large and of no type at all. */
const UNREADABLE = { body: ' '.repeat(1025), headers: { 'content-type': 'garbage' } };

const service = await startTestService({ MAX_BODY_BYTES: '1024' });
afterAll(() => service.close());
const send = createHttpClient(service.url, makeToken());

describe('methods', () => {
  it.each([
    ['DELETE', TOOLS, 'GET, HEAD, POST'],
    ['PUT', TOOLS.slice(0, -1), 'GET, HEAD, POST'],
    ['PROPFIND', TOOLS, 'GET, HEAD, POST'],
    ['POST', `${TOOLS}${ID}/`, 'GET, HEAD, PUT, PATCH, DELETE'],
    ['POST', `${TOOLS}no-uuid`, 'GET, HEAD, PUT, PATCH, DELETE'],
    ['GET', '/ms7/internal/v1/tools/validate/', 'POST'],
    ['PUT', '/ms7/api/v1/execute/?x=1', 'POST'],
    ['POST', '/healthz', 'GET, HEAD'],
    ['POST', '/readyz/', 'GET, HEAD'],
    ['DELETE', '/metrics', 'GET, HEAD'],
    ['POST', '/openapi.json', 'GET, HEAD'],
    ['POST', '/docs/', 'GET, HEAD'],
  ])('refuses %s %s, before the body is looked at, and says what is allowed', async (method, path, allow) => {
    const answer = await send(method, path, UNREADABLE);
    expect(said(answer)).toEqual([405, `{"detail":"Method \\"${method}\\" not allowed."}`]);
    expect(answer.headers.allow).toBe(allow);
    const options = await send('OPTIONS', path, { token: null });
    expect([options.status, options.text, options.headers.allow]).toEqual([204, '', allow]);
  });

  it('has HEAD wherever GET is', async () => {
    const { json } = await send<{ id: string }>('POST', TOOLS, { body: webhookInput('one') });
    const paths = [TOOLS, `${TOOLS}${json.id}/`, '/healthz', '/readyz', '/docs/', '/openapi.json', '/nope'];
    for (const path of [...paths, `${TOOLS}${ID}/`]) {
      const [get, head] = [await send('GET', path), await send('HEAD', path)];
      const varying = { date: '', 'x-request-id': '' };
      expect([head.status, { ...head.headers, ...varying }]).toEqual([
        get.status,
        { ...get.headers, ...varying },
      ]);
      expect(head.text).toBe('');
      expect(head.headers['content-length']).toBe(String(Buffer.byteLength(get.text)));
    }
    expect((await send('HEAD', '/metrics', { token: null })).status).toBe(200);
    expect((await send('HEAD', TOOLS, { token: null })).status).toBe(401);
  });
});

describe('paths', () => {
  it.each([
    '/',
    '/nope',
    '/ms7/',
    '/ms7/api/v1/',
    '/ms7/api/v1/tool/',
    '/MS7/api/v1/tools/',
    '/ms7//api/v1/tools/',
    `${TOOLS}${ID}/more/`,
    '/ms7/api/v1/tools/a%2Fb/c/',
    '/docs/static/nope.js',
    '/docs/static/%2e%2e/package.json',
    '/openapi.json/x',
  ])('says that %s is not there, with and without a token', async (path) => {
    for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS']) {
      for (const options of [{}, { token: null }, { token: 'x' }, UNREADABLE]) {
        const { status, text, headers } = await send(method, path, options);
        expect([status, text]).toEqual([404, '{"detail":"Not found."}']);
        expect(headers['content-type']).toBe('application/json; charset=utf-8');
      }
    }
  });

  it('answers a path that cannot be decoded like any other bad input', async () => {
    const answer = await send('GET', `${TOOLS}%zz/`, { headers: { 'x-request-id': 'a-request.2' } });
    expect(said(answer)).toEqual([400, '{"detail":"Bad request."}']);
    expect(answer.headers).toMatchObject({
      'x-request-id': 'a-request.2',
      'x-content-type-options': 'nosniff',
    });
  });

  it('takes an overlong id for an unknown one', async () => {
    expect((await send('GET', `${TOOLS}${'a'.repeat(9000)}/`)).status).toBe(404);
  });
});

it('answers a fault of its own with the id under which the log has it, and says nothing else', async () => {
  await using service = await startTestService();
  const send = createHttpClient(service.url, makeToken());
  const database = new Sqlite(join(service.folder, 'tools.db'));
  database.exec('drop table tools');
  database.close();
  const headers = { 'x-request-id': 'a-request.1' };
  expect(said(await send('GET', TOOLS, { headers }))).toEqual([
    500,
    '{"detail":"Internal server error.","request_id":"a-request.1"}',
  ]);
  const logged = service.log.filter(({ requestId }) => requestId === 'a-request.1');
  expect(logged.map(({ level, msg }) => [level, msg])).toContainEqual(['error', 'request failed']);

  const ready = await send('GET', '/readyz', { token: null });
  expect([ready.status, ready.json]).toEqual([
    503,
    {
      status: 'unavailable',
      reason: 'the database does not answer, or its migrations are not applied',
      dependencies: { database: 'away', rabbitmq: 'off', redis: 'off' },
    },
  ]);
  expect((await send('GET', '/healthz', { token: null })).json).toEqual({ status: 'ok' });
});

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../json.ts';
import { makeToken } from '../../testing/make-token.ts';
import { connectJson, oldGrpc, oldProtocols, protocols } from '../../testing/rpc-clients.ts';
import { startTestService, type TestService } from '../../testing/start-test-service.ts';
import { webhookInput } from '../../testing/tools-context.ts';
import { openDeletedUsers } from '../deleted-users-for-tests.ts';

const NODES_SECRET = 'secret-of-the-service-nodes-in-tests';
const INFERENCE_SECRET = 'secret-of-the-service-inference-in-tests';
const SERVICE_TOKENS = `nodes:${NODES_SECRET}, inference:${INFERENCE_SECRET}`;

const OLD_METHODS = ['ValidateTools', 'GetToolDefinitions', 'ExecuteMultipleTools'];
const NEW_METHODS = ['ListTools', 'GetTool', 'CreateTool', 'UpdateTool', 'DeleteTool'];
const METHODS = [...OLD_METHODS, ...NEW_METHODS];

const unauthenticated = (message: string) => ({
  code: 'UNAUTHENTICATED',
  message,
  metadata: { 'www-authenticate': 'Bearer realm="api"' },
});
const NO_CREDENTIALS = unauthenticated('Authentication credentials were not provided.');
const BAD_HEADER = unauthenticated('Authorization header must contain two space-delimited values');
const NO_USER = unauthenticated('Token contained no recognizable user identification');
const invalidToken = (message: string) =>
  unauthenticated(`Given token not valid for any token type: ${message}`);
const INVALID = invalidToken('Token is invalid');

const bearer = (...token: Parameters<typeof makeToken>) => `Bearer ${makeToken(...token)}`;
const seconds = () => Math.floor(Date.now() / 1000);

describe('with credentials required', () => {
  let service: TestService;
  beforeAll(async () => {
    service = await startTestService({ SERVICE_TOKENS });
  });
  afterAll(() => service.close());

  test.each(protocols)('each cause of a refusal has its words by $name', async ({ connect }) => {
    using client = connect(service.url);
    for (const [authorization, expected] of [
      [undefined, NO_CREDENTIALS],
      ['Basic dXNlcjpwYXNz', NO_CREDENTIALS],
      [bearer().replace('Bearer', 'bearer'), NO_CREDENTIALS],
      ['Bearer', BAD_HEADER],
      [`${bearer()} more`, BAD_HEADER],
      ['Bearer x', INVALID],
      [`Bearer ${NODES_SECRET}x`, INVALID],
      [bearer({}, { key: 'another key of more than 32 bytes in all' }), INVALID],
      [bearer({}, { header: { alg: 'none', typ: 'JWT' } }), INVALID],
      [bearer({}, { header: { alg: 'HS512', typ: 'JWT' } }), INVALID],
      [bearer({ iss: 'https://elsewhere.example' }), INVALID],
      [bearer({ nbf: seconds() + 60 }), INVALID],
      [bearer({ iat: seconds() + 60 }), INVALID],
      [bearer({ exp: seconds() - 60 }), invalidToken('Token is expired')],
      [bearer({ exp: undefined }), invalidToken("Token has no 'exp' claim")],
      [bearer({ jti: undefined }), invalidToken('Token has no id')],
      [bearer({ token_type: undefined }), invalidToken('Token has no type')],
      [bearer({ token_type: 'refresh' }), invalidToken('Token has wrong type')],
      [bearer({ user_id: undefined }), NO_USER],
      [bearer({ user_id: null }), NO_USER],
      [bearer({ user_id: 7 }), NO_USER],
      [bearer({ user_id: 'seven' }), NO_USER],
    ] as const) {
      const headers = authorization === undefined ? {} : { authorization };
      expect(await client.call('ValidateTools', {}, { headers })).toMatchObject(expected);
    }
  });

  test.each(protocols)('no RPC goes without, and none for another user, by $name', async ({ connect }) => {
    using client = connect(service.url);
    const token = makeToken();
    for (const method of METHODS) {
      const request = { userId: randomUUID() };
      expect(await client.call(method, request), method).toMatchObject(NO_CREDENTIALS);
      expect(await client.call(method, request, { token }), method).toMatchObject({
        code: 'PERMISSION_DENIED',
        message: 'user_id names another user than the token.',
      });
    }
  });

  test.each(protocols)('a deleted user is refused from then on, by $name', async ({ connect }) => {
    await using users = await openDeletedUsers('sqlite');
    await using other = await startTestService({}, { database: users.place });
    using client = connect(other.url);
    const userId = randomUUID();
    const token = makeToken({ user_id: userId });
    const call = (method: string, request: JsonObject = {}) => client.call(method, request, { token });
    expect(await call('ValidateTools')).toMatchObject({ code: 'OK' });
    await users.delete(userId);
    for (const method of METHODS) expect(await call(method, { userId }), method).toMatchObject(NO_USER);
    expect(await client.call('ValidateTools', {}, { token: makeToken() })).toMatchObject({ code: 'OK' });

    await users.forget();
    expect(await call('ValidateTools')).toMatchObject({
      code: 'UNAVAILABLE',
      message: 'The credentials cannot be checked now.',
    });
    expect(await client.call('ValidateTools', {}, { token: 'x' })).toMatchObject(INVALID);
  });

  test.each(protocols)('slack on times, and a user_id in any spelling, by $name', async ({ connect }) => {
    using client = connect(service.url);
    const userId = randomUUID();
    for (const claims of [
      { exp: seconds() - 5 },
      { nbf: seconds() + 5, iat: seconds() + 5 },
      { user_id: userId.toUpperCase().replaceAll('-', ''), aud: 'anybody' },
    ]) {
      const token = makeToken({ user_id: userId, ...claims });
      for (const request of [{}, { userId }, { userId: userId.toUpperCase() }]) {
        const answer = await client.call('ValidateTools', request, { token });
        expect(answer).toMatchObject({ code: 'OK', body: { authorized: true } });
      }
    }
  });

  test.each(protocols)('a service acts for the user whom it names, by $name', async ({ connect }) => {
    using client = connect(service.url);
    const userId = randomUUID();
    const call = (method: string, request: JsonObject, token = NODES_SECRET) =>
      client.call(method, request, { token });
    const created = await call('CreateTool', { userId, tool: webhookInput('a') });
    expect(created).toMatchObject({ code: 'OK', body: { ownerId: userId } });
    const id = String(created.body.id);

    const own = { userId, toolIds: [id] };
    expect(await call('ValidateTools', own, INFERENCE_SECRET)).toMatchObject({ code: 'OK' });
    const byUser = await client.call('GetTool', { id }, { token: makeToken({ user_id: userId }) });
    expect(byUser.body).toEqual(created.body);
    for (const request of [{ userId: randomUUID(), id }, { id }]) {
      expect(await call('GetTool', request)).toMatchObject({ code: 'NOT_FOUND' });
    }
    expect((await call('ListTools', { userId })).body.tools).toHaveLength(3);
    expect((await call('ListTools', {})).body.tools).toHaveLength(2);
    expect(await call('CreateTool', { tool: webhookInput('a') })).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'user_id must name a user.',
    });
    const { body } = await call('ListTools', {});
    const systemTool = { id: String((body.tools as JsonObject[])[0]?.id) };
    expect(await call('DeleteTool', { userId, ...systemTool })).toMatchObject({
      code: 'PERMISSION_DENIED',
      message: 'You do not have permission to perform this action.',
    });
  });

  test('health is for everyone', async () => {
    const response = await fetch(`${service.url}/grpc.health.v1.Health/Check`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer x' },
      body: '{}',
    });
    expect([response.status, await response.json()]).toEqual([200, { status: 'SERVING' }]);
  });
});

describe('in a trusted network', () => {
  let service: TestService;
  beforeAll(async () => {
    service = await startTestService({ RPC_AUTH: 'trusted-network', RATE_LIMIT_ANON: '1000/day' });
  });
  afterAll(() => service.close());

  test.each(oldProtocols)('the old RPCs need no credentials by $name', async ({ connect }) => {
    using client = connect(service.url);
    const userId = randomUUID();
    const tool = await connectJson(service.url).call(
      'CreateTool',
      { tool: webhookInput('a') },
      { token: makeToken({ user_id: userId }) },
    );
    const own = { userId, toolIds: [String(tool.body.id)] };
    expect(await client.call('ValidateTools', own)).toMatchObject({ body: { authorized: true } });
    const definitions = [{ name: 'a' }];
    expect(await client.call('GetToolDefinitions', own)).toMatchObject({ body: { definitions } });
    const executed = await client.call('ExecuteMultipleTools', { toolCalls: [{ id: '1', name: 'nothing' }] });
    expect(executed).toMatchObject({ code: 'OK', body: { results: [{ status: 'error' }] } });
    expect(await client.call('ValidateTools', { ...own, userId: randomUUID() })).toMatchObject({
      code: 'PERMISSION_DENIED',
    });
    expect(await client.call('ValidateTools', { toolIds: own.toolIds })).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'Invalid UUID format for user_id or tool_ids.',
    });
  });

  test.each(protocols)(
    'bad credentials are refused, and other RPCs without any, by $name',
    async (protocol) => {
      using client = protocol.connect(service.url);
      const request = { userId: randomUUID() };
      for (const method of METHODS) {
        expect(await client.call(method, request, { token: 'x' }), method).toMatchObject(INVALID);
        const basic = { headers: { authorization: 'Basic eA==' } };
        expect(await client.call(method, request, basic), method).toMatchObject(NO_CREDENTIALS);
      }
      for (const method of NEW_METHODS) {
        expect(await client.call(method, request), method).toMatchObject(NO_CREDENTIALS);
      }
    },
  );
});

describe('throttling', () => {
  /** On a full minute, that the limit is over in just a minute; not before the times in the tokens. */
  const time = Math.ceil(Date.now() / 60_000) * 60_000;
  const exhausted = {
    code: 'RESOURCE_EXHAUSTED',
    message: 'Request was throttled. Expected available in 60 seconds.',
    metadata: { 'retry-after': '60' },
  };
  const start = (settings: Record<string, string>) => startTestService(settings, { now: () => time });
  const rest = async (url: string, token?: string) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    return (await fetch(`${url}/ms7/api/v1/tools/`, { headers })).status;
  };

  test('there is one count for a user over REST and every protocol of RPC', async () => {
    await using service = await start({ RATE_LIMIT_USER: '6/minute' });
    const token = makeToken();
    for (const { connect } of oldProtocols) {
      using client = connect(service.url);
      expect(await client.call('ValidateTools', {}, { token })).toMatchObject({ code: 'OK' });
    }
    expect(await rest(service.url, token)).toBe(200);
    for (const { connect } of oldProtocols) {
      using client = connect(service.url);
      expect(await client.call('ValidateTools', {}, { token })).toMatchObject(exhausted);
      const another = await client.call('ValidateTools', {}, { token: makeToken() });
      expect(another).toMatchObject({ code: 'OK' });
    }
    expect(await rest(service.url, token)).toBe(429);
  });

  test('an address without valid credentials is counted, services and trusted callers are not', async () => {
    const settings = { RATE_LIMIT_ANON: '3/minute', RATE_LIMIT_USER: '1/minute', SERVICE_TOKENS };
    await using service = await start({ ...settings, RPC_AUTH: 'trusted-network' });
    using client = oldGrpc.connect(service.url);
    using web = connectJson(service.url);
    expect(await web.call('ListTools', {})).toMatchObject(NO_CREDENTIALS);
    expect(await client.call('ValidateTools', {}, { token: 'x' })).toMatchObject(INVALID);
    expect(await rest(service.url)).toBe(401);
    expect(await web.call('ListTools', {})).toMatchObject(exhausted);
    expect(await client.call('ValidateTools', {}, { token: 'x' })).toMatchObject(exhausted);
    expect(await rest(service.url)).toBe(429);
    for (const options of [{ token: NODES_SECRET }, { token: NODES_SECRET }, {}, {}]) {
      const request = { userId: randomUUID() };
      expect(await client.call('ValidateTools', request, options)).toMatchObject({ code: 'OK' });
    }
  });
});

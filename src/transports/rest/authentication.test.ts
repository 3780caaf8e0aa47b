import { randomUUID } from 'node:crypto';
import Fastify from 'fastify';
import { afterAll, describe, expect, it } from 'vitest';
import { createHttpClient, said } from '../../testing/http-client.ts';
import { JWT_ISSUER, makeToken, signToken, validClaims } from '../../testing/make-token.ts';
import { startTestService } from '../../testing/start-test-service.ts';
import type { Engine } from '../../testing/test-database.ts';
import { hasToolData, readDataJson } from '../../testing/tool-data.ts';
import { webhookInput } from '../../testing/tools-context.ts';
import { createAuthenticate } from '../authenticate.ts';
import { openDeletedUsers } from '../deleted-users-for-tests.ts';
import { registerTokens } from '../tokens.ts';

const TOOLS = '/ms7/api/v1/tools/';
const NOW = Date.UTC(2030, 0, 1);
const SECONDS = NOW / 1000;
const SERVICE = 'a-service-token-of-at-least-32-characters';
const PREVIOUS = 'the key before, which is still accepted';

const NOT_PROVIDED = '{"detail":"Authentication credentials were not provided."}';
const BAD_HEADER =
  '{"detail":"Authorization header must contain two space-delimited values","code":"bad_authorization_header"}';
const NO_USER = '{"detail":"Token contained no recognizable user identification","code":"token_not_valid"}';
const invalid = (message: string) =>
  '{"detail":"Given token not valid for any token type","code":"token_not_valid","messages":' +
  `[{"token_class":"AccessToken","token_type":"access","message":"${message}"}]}`;

const service = await startTestService(
  { SERVICE_TOKENS: `one:${SERVICE}`, JWT_SECRET_KEY_PREVIOUS: PREVIOUS, MAX_BODY_BYTES: '1024' },
  { now: () => NOW },
);
afterAll(() => service.close());
const send = createHttpClient(service.url);

const tokenOf = (claims: object, options = {}) => signToken({ ...validClaims(NOW), ...claims }, options);
const withHeader = (header: object) => tokenOf({}, { header });
const get = (authorization: string | undefined) => send('GET', TOOLS, { headers: { authorization } });
const unsigned = (alg: string) => withHeader({ alg, typ: 'JWT' }).replace(/[^.]+$/, '');
const [head, payload, signature] = tokenOf({}).split('.') as [string, string, string];

describe('credentials that are refused', () => {
  it.each([
    ['none', undefined, NOT_PROVIDED],
    ...[
      '',
      'Basic dXNlcjpwYXNz',
      'Token x',
      `bearer ${tokenOf({})}`,
      `BEARER ${tokenOf({})}`,
      tokenOf({}),
    ].map((header) => ['another scheme', header, NOT_PROVIDED]),
    ...['Bearer', 'Bearer ', 'Bearer a b', `Bearer ${tokenOf({})} x`].map((header) => [
      'parts',
      header,
      BAD_HEADER,
    ]),
    ...['x', 'a.b.c', '..', `${head}.${payload}`, `${head}.${payload}.`, `${head}.${payload}.${signature}.x`]
      .concat(`${head}.${payload}.${signature}=`, `${head}.${payload}.${signature.slice(1)}`)
      .map((token) => ['no token of ours', `Bearer ${token}`, invalid('Token is invalid')]),
    ...[
      ['another key', tokenOf({}, { key: 'another key of more than 32 bytes length' })],
      ...['none', 'None', 'NONE'].map((alg) => [`alg ${alg}`, unsigned(alg)]),
      ...['none', 'HS512', 'HS384', 'RS256', 'hs256', '', null].map((alg) => [
        `label ${alg}`,
        withHeader({ alg }),
      ]),
      ['no alg', withHeader({ typ: 'JWT' })],
      ['critical extension', withHeader({ alg: 'HS256', crit: ['exp'] })],
      ...['https://ms1.auth-service.com/', 'other', null, undefined, [JWT_ISSUER]].map((iss) => [
        `issuer ${iss}`,
        tokenOf({ iss }),
      ]),
      ...['nbf', 'iat'].flatMap((claim) =>
        [SECONDS + 11, String(SECONDS), null].map((time) => [`${claim} ${time}`, tokenOf({ [claim]: time })]),
      ),
      ...[String(SECONDS + 99), null, {}].map((exp) => ['exp of another type', tokenOf({ exp })]),
      ...[[], null, 'x', 1].map((claims) => ['claims that are no object', signToken(claims)]),
    ].map(([name, token]) => [name, `Bearer ${token}`, invalid('Token is invalid')]),
    ...[SECONDS - 10, SECONDS - 3600, 0, -1].map((exp) => [
      `exp ${exp}`,
      `Bearer ${tokenOf({ exp })}`,
      invalid('Token is expired'),
    ]),
    ['no exp', `Bearer ${tokenOf({ exp: undefined })}`, invalid("Token has no 'exp' claim")],
    ['no jti', `Bearer ${tokenOf({ jti: undefined })}`, invalid('Token has no id')],
    ['no type', `Bearer ${tokenOf({ token_type: undefined })}`, invalid('Token has no type')],
    ['a refresh token', `Bearer ${tokenOf({ token_type: 'refresh' })}`, invalid('Token has wrong type')],
    ...[
      undefined,
      null,
      '',
      'x',
      1,
      0,
      true,
      [],
      {},
      [randomUUID()],
      `${randomUUID()}0`,
      randomUUID().slice(1),
    ].map((user_id) => [`user ${user_id}`, `Bearer ${tokenOf({ user_id })}`, NO_USER]),
    ['a service token', `Bearer ${SERVICE}`, invalid('Token is invalid')],
  ] as [string, string | undefined, string][])('%s: %s', async (_case, authorization, body) => {
    const answer = await get(authorization);
    expect(said(answer)).toEqual([401, body]);
    expect(answer.headers['www-authenticate']).toBe('Bearer realm="api"');
  });
});

describe('credentials that are accepted', () => {
  it.each([
    ['exp within the leeway', { exp: SECONDS - 9 }],
    ['nbf and iat within the leeway', { nbf: SECONDS + 10, iat: SECONDS + 10 }],
    ['neither nbf nor iat', { iat: undefined }],
    ['any audience', { aud: ['somebody', 'else'] }],
    ['times with fractions', { exp: SECONDS + 0.5, iat: SECONDS - 0.5 }],
  ])('%s', async (_case, claims) => {
    expect((await get(`Bearer ${tokenOf(claims)}`)).status).toBe(200);
  });

  it('the key before, as long as it is set', async () => {
    const options = { token: tokenOf({}, { key: PREVIOUS }) };
    expect((await send('GET', TOOLS, options)).status).toBe(200);
    await using other = await startTestService({}, { now: () => NOW });
    expect((await createHttpClient(other.url)('GET', TOOLS, options)).status).toBe(401);
  });

  it('a token until it expires, however often it was accepted before', async () => {
    const clock = { now: NOW };
    await using other = await startTestService({}, { now: () => clock.now });
    const token = tokenOf({ exp: SECONDS + 60 });
    const statuses: number[] = [];
    for (const seconds of [0, 60, 69, 70]) {
      clock.now = NOW + seconds * 1000;
      statuses.push((await createHttpClient(other.url)('GET', TOOLS, { token })).status);
    }
    expect(statuses).toEqual([200, 200, 200, 401]);
  });

  it('any spelling of a user id, for the same user', async () => {
    const userId = randomUUID();
    await send('POST', TOOLS, { token: tokenOf({ user_id: userId }), body: webhookInput('one') });
    const plain = userId.replaceAll('-', '');
    for (const user_id of [userId.toUpperCase(), plain, plain.toUpperCase()]) {
      const { json } = await send('GET', `${TOOLS}?search=one`, { token: tokenOf({ user_id }) });
      expect(json).toMatchObject([{ name: 'one', owner_id: userId }]);
    }
  });

  it('an administrator only where is_staff is true itself', async () => {
    for (const is_staff of [true, 'true', 1, {}, null, undefined]) {
      const body = { ...webhookInput(randomUUID()), is_system_tool: true };
      const { json } = await send('POST', TOOLS, { token: tokenOf({ is_staff }), body });
      expect(json).toMatchObject({ is_system_tool: is_staff === true });
    }
  });
});

describe.each<Engine>(['sqlite', 'postgres'])('the token of a deleted user, on %s', (engine) => {
  it('is refused from then on, whatever was accepted before, and counted by address', async () => {
    await using users = await openDeletedUsers(engine);
    await using other = await startTestService(
      { RATE_LIMIT_USER: '5/day', RATE_LIMIT_ANON: '5/day' },
      { now: () => NOW, database: users.place },
    );
    const userId = randomUUID();
    const token = tokenOf({ user_id: userId.toUpperCase() });
    const ask = createHttpClient(other.url, token);
    const anotherUser = tokenOf({});
    expect((await ask('GET', TOOLS)).status).toBe(200);
    await users.delete(userId);
    for (const [method, path] of [
      ['GET', TOOLS],
      ['POST', TOOLS],
      ['DELETE', TOOLS],
      ['POST', '/ms7/api/v1/execute/'],
    ] as const) {
      const answer = await ask(method, path);
      expect(said(answer)).toEqual([401, NO_USER]);
      expect(answer.headers['www-authenticate']).toBe('Bearer realm="api"');
    }
    const away = { headers: { 'x-forwarded-for': '198.51.100.1' } };
    expect(said(await ask('GET', '/metrics', away))).toEqual([401, NO_USER]);
    expect((await ask('GET', TOOLS)).status).toBe(429);
    expect((await ask('GET', TOOLS, { token: anotherUser })).status).toBe(200);
    expect((await ask('GET', '/nope', away)).status).toBe(404);
  });
});

it('a token is neither accepted nor refused while nobody can tell whether its user is deleted', async () => {
  await using users = await openDeletedUsers('sqlite');
  await using other = await startTestService({}, { now: () => NOW, database: users.place });
  const ask = createHttpClient(other.url, tokenOf({}));
  await users.forget();
  for (const [method, path] of [
    ['GET', TOOLS],
    ['DELETE', TOOLS],
    ['POST', '/ms7/api/v1/execute/'],
  ] as const) {
    const answer = await ask(method, path);
    expect(said(answer)).toEqual([503, '{"detail":"The credentials cannot be checked now."}']);
  }
  expect(said(await ask('GET', TOOLS, { token: 'x' }))).toEqual([401, invalid('Token is invalid')]);
  expect(said(await ask('GET', TOOLS, { token: null }))).toEqual([401, NOT_PROVIDED]);
});

it('checks in order: credentials, method, tool and permission, entity tag, size, type, body', async () => {
  const token = tokenOf({});
  const own = await send<{ id: string }>('POST', TOOLS, { token, body: webhookInput('one') });
  const admin = tokenOf({ is_staff: true });
  const body = { ...webhookInput(randomUUID()), is_system_tool: true };
  const system = await send<{ id: string }>('POST', TOOLS, { token: admin, body });
  const path = (id: string) => `${TOOLS}${id}/`;
  const large = ' '.repeat(1025);
  const fault = { 'if-match': '"x"', 'content-type': 'text/plain' };
  const typed = { 'if-match': own.headers.etag, 'content-type': 'text/plain' };
  const steps = [
    ['PUT', TOOLS, { token: 'x', body: large, headers: fault }, 401],
    ['PUT', path(own.json.id), { body: large, headers: fault }, 401],
    ['PUT', TOOLS, { token, body: large, headers: fault }, 405],
    ['PUT', path(randomUUID()), { token, body: large, headers: fault }, 404],
    ['PUT', path(system.json.id), { token, body: large, headers: fault }, 403],
    ['PUT', path(own.json.id), { token, body: large, headers: fault }, 412],
    ['PUT', path(own.json.id), { token, body: large, headers: typed }, 413],
    ['PUT', path(own.json.id), { token, body: '{', headers: typed }, 415],
    ['PUT', path(own.json.id), { token, body: '{' }, 400],
  ] as const;
  for (const [method, at, options, status] of steps) {
    expect([at, (await send(method, at, options)).status]).toEqual([at, status]);
  }
});

type Attack = { id: string; token?: string; expect: 'accept' | 'reject' | 'either'; why: string };

describe.skipIf(!hasToolData)('attacks on tokens (skipped where the shared data is absent)', async () => {
  const suite = hasToolData
    ? readDataJson<{ secret: string; issuer: string; now: number; cases: Attack[] }>(
        'security/jwt-attacks.json',
      )
    : { secret: 'x', issuer: '', now: 0, cases: [] };
  const attacks = suite.cases.filter(({ token }) => token !== undefined);
  const tokens = await registerTokens(Fastify(), [suite.secret]);
  const authenticate = createAuthenticate({
    tokens,
    issuer: suite.issuer,
    serviceTokens: [],
    isDeletedUser: async () => false,
    now: () => suite.now * 1000,
  });
  const userId = randomUUID();

  /** The token as it would be here: with the claims that we ask for, and a user for its subject. */
  function completed(token: string): string | undefined {
    try {
      const claims = tokens.verify(token) as { sub?: unknown };
      const user_id = claims.sub === 'user-1' ? userId : claims.sub;
      return signToken({ ...claims, user_id, jti: 'x', token_type: 'access' }, { key: suite.secret });
    } catch {
      return undefined;
    }
  }

  it.each(attacks)('$id, $expect: $why', async ({ token = '', expect: verdict }) => {
    const user = { kind: 'caller', caller: { kind: 'user', userId, isStaff: false } };
    expect((await authenticate(`Bearer ${token}`)).kind).toBe('refused');
    // Undefined where the signature or the header is refused, whatever the claims.
    const ours = completed(token);
    const outcome = ours === undefined ? undefined : await authenticate(`Bearer ${ours}`);
    if (verdict === 'accept') expect(outcome).toEqual(user);
    else if (verdict === 'reject') expect(outcome?.kind ?? 'refused').toBe('refused');
    else if (outcome?.kind === 'caller') expect(outcome).toEqual(user);
    expect(({} as Record<string, unknown>).isAdmin).toBeUndefined();
  });

  it('a header of 1 MiB is refused as such', async () => {
    const token = makeToken({}, { header: { alg: 'HS256', x: 'x'.repeat(2 ** 20) } });
    const outcome = await send('GET', TOOLS, { token })
      .then(({ status }) => status)
      .catch(() => 'closed');
    expect([431, 'closed']).toContain(outcome);
  });
});

import { describe, expect, it } from 'vitest';
import { checkUrl } from '../egress/address-policy.ts';
import { checkDefinition } from './definition.ts';

const context = {
  checkUrl: (url: string) => checkUrl(url, []),
  internalFunctions: new Set(['test.function']),
  limits: { toolsPerUser: 1, definitionBytes: 262_144, answerBytes: 1 },
};

const base = {
  name: 'one',
  description: 'Does one.',
  parameters: { type: 'object', properties: { a: {}, b: {} } },
};
const define = (changes: object) => ({ ...base, execution: execution({}), ...changes });
const execution = (changes: object) => ({ type: 'webhook', url: 'https://x.example/', ...changes });
const execute = (changes: object, others: object = {}) =>
  define({ execution: execution(changes), ...others });
const parse = (text: string) => JSON.parse(text) as object;
const faultOf = (definition: object, system = false) => {
  const checked = checkDefinition(context, definition, system);
  return typeof checked === 'string' ? checked : undefined;
};

const HEADERS = '/execution/headers';
const OWN = 'must not be one that belongs to the connection.';
const SERVICE = 'must not be one that the service sets itself.';
const CONSTANT = "must not hold a constant credential: it belongs into 'authentication'.";
const BREAKS = 'must not have line breaks or control characters in its value.';
const TYPE = 'must be application/json, a type that ends in +json, or application/x-www-form-urlencoded.';
const HIDDEN = 'must be {"value": …} or {"from": "caller.user_id" or "request.id"}.';
const RESPONSE = '/execution/max_response_bytes: must be a whole number from 1 to 268435456.';

describe('the definition of a call is refused', () => {
  it.each([
    ...['get', 'TRACE', 'CONNECT', 'OPTIONS', '', null, 1].map((method) => [
      { method },
      '/execution/method: must be one of GET, HEAD, POST, PUT, PATCH, DELETE.',
    ]),
    ...[null, [], 'a=b'].map((query) => [{ query }, '/execution/query: must be a JSON object.']),
    ...[null, {}, [[]], [null]].map((value) => [
      { query: { 'a/b': value } },
      '/execution/query/a~1b: must be a string, a number, true, false, or a list of these.',
    ]),
    [
      { query: Object.fromEntries([...Array(101).keys()].map((key) => [key, 1])) },
      '/execution/query: must have no more than 100 entries.',
    ],
    [{ query: parse('{"__proto__":{"a":1}}') }, '/execution/query/__proto__: must have another name.'],
    ...[null, [], 'x'].map((headers) => [{ headers }, `${HEADERS}: must be a JSON object.`]),
    [{ headers: { 'X-A': 1 } }, `${HEADERS}/X-A: must be a string.`],
    [
      { headers: Object.fromEntries([...Array(101).keys()].map((key) => [`x-${key}`, 'a'])) },
      `${HEADERS}: must have no more than 100 entries.`,
    ],
    [{ headers: parse('{"__proto__":{"a":1}}') }, `${HEADERS}/__proto__: must have another name.`],
    ...['a\r\nX-Evil: 1', 'a\n', '\ra', 'a\u007F', '天', '{a}\n'].map((value) => [
      { headers: { 'X-A': value } },
      `${HEADERS}/X-A: ${BREAKS}`,
    ]),
    ...['', 'X A', 'X-A:', 'X\r\nA', 'é'].map((name) => [
      { headers: { [name]: 'a' } },
      `${HEADERS}/${name}: must have a name of letters, digits and hyphens.`,
    ]),
    ...[
      'Host',
      'content-length',
      'Connection',
      'Keep-Alive',
      'TE',
      'Trailer',
      'Trailers',
      'Transfer-Encoding',
      'Upgrade',
      'Expect',
      'Proxy-Authorization',
      'Proxy-Connection',
    ].map((name) => [{ headers: { [name]: '{a}' } }, `${HEADERS}/${name}: ${OWN}`]),
    ...[
      'Accept-Encoding',
      'Idempotency-Key',
      'traceparent',
      'tracestate',
      'webhook-id',
      'Webhook-Timestamp',
      'webhook-signature',
    ].map((name) => [{ headers: { [name]: 'a' } }, `${HEADERS}/${name}: ${SERVICE}`]),
    [{ headers: { 'X-A': 'a', 'x-a': 'b' } }, `${HEADERS}/x-a: must not be given twice.`],
    ...[
      'Authorization',
      'cookie',
      'X-Api-Key',
      'apikey',
      'X-API_KEY',
      'X-Auth-Token',
      'tokens',
      'X-Client-Secret',
      'X-Password',
    ].map((name) => [{ headers: { [name]: 'Bearer {{a}} {z}' } }, `${HEADERS}/${name}: ${CONSTANT}`]),
    [
      { headers: { authorization: '{a}' }, authentication: { type: 'bearer', token: 'x' } },
      `${HEADERS}/authorization: must not be given beside 'authentication'.`,
    ],
    ...['text/plain', 'multipart/form-data', 'application/jsonx', '', '{a}', 'application/{a}+json'].map(
      (type) => [{ headers: { 'Content-Type': type } }, `${HEADERS}/Content-Type: ${TYPE}`],
    ),
    ...['{a}', [], null, 1].map((body) => [
      { body, headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      `${HEADERS}/content-type: must be a type of JSON, as 'body' is no object.`,
    ]),
    ...['GET', 'HEAD'].map((method) => [
      { method, body: null },
      `/execution/body: must not be given for ${method}.`,
    ]),
    ...[0, -1, 1.5, 268_435_457, '1', null].map((bytes) => [{ max_response_bytes: bytes }, RESPONSE]),
    ...['a', '#/a', '/a~', '/a~2', 'a/b'].map((output) => [
      { output },
      '/execution/output: must be a JSON pointer (RFC 6901).',
    ]),
    [{ output: 1 }, '/execution/output: must be a string.'],
    ...[1, 'true', null].map((value) => [
      { apply_defaults: value },
      '/execution/apply_defaults: must be true or false.',
    ]),
  ] as [object, string][])('%j', (changes, words) => {
    expect(faultOf(execute(changes))).toBe(words);
  });

  it.each([
    ...[
      'https://{a}/',
      'https://{a}.x.example/',
      'https://x.example{a}/',
      'https://x.example:80{a}/',
      'http{a}://x.example/',
      'https:/\t/{a}/',
      'https:\\\\{a}\\x',
      'https://{a}@x.example/',
      'https://x.example\\@{a}:1/',
    ].map((url) => [
      url,
      url.includes('\\@') ? undefined : '/execution/url: must not have a placeholder before its path.',
    ]),
    ['https://x.example/#{a}', '/execution/url: must not have a placeholder in its fragment.'],
    ...['https://x.example/%{a}', 'https://x.example/%2{a}', 'https://x.example/?%\t{a}'].map((url) => [
      url,
      '/execution/url: must not have a placeholder within a percent-encoded character.',
    ]),
    ['{a}', "Webhook 'url' is not allowed: must be a valid absolute URL"],
    ['https://user:{b}@x.example/', '/execution/url: must not have a placeholder before its path.'],
    ['https://user:x@x.example/{a}', "Webhook 'url' is not allowed: must not hold a user name or a password"],
    [
      'https://127.0.0.1/{a}',
      "Webhook 'url' is not allowed: must not lead to an address that is not public (Loopback)",
    ],
    ['https://x.example/%/{a}%?{b}={a}&%', undefined],
    ['https://{z}.example/', undefined],
  ] as [string, string | undefined][])('for the URL %j', (url, words) => {
    expect(faultOf(execute({ url }))).toBe(words);
  });

  it.each([
    [{ hidden: [] }, '/hidden: must be a JSON object.'],
    ...[
      null,
      'x',
      {},
      { value: 1, from: 'request.id' },
      { value: 1, x: 1 },
      { from: 'caller.token' },
      { from: 1 },
    ].map((source) => [{ hidden: { 'h~': source } }, `/hidden/h~0: ${HIDDEN}`]),
    [{ hidden: { a: { value: 1 } } }, '/hidden/a: must not be a parameter too.'],
    [
      { hidden: parse('{"__proto__":5}'), execution: execution({ headers: { 'x-token': '{__proto__}' } }) },
      '/hidden/__proto__: must have another name.',
    ],
    ...['a', [], null].map((annotations) => [{ annotations }, '/annotations: must be a JSON object.']),
    ...['read_only', 'destructive', 'idempotent', 'open_world'].map((key) => [
      { annotations: { [key]: 'yes' } },
      `/annotations/${key}: must be true or false.`,
    ]),
    ...['x', [], null, 1].map((schema) => [
      { output_schema: schema },
      '/output_schema: must be a JSON Schema.',
    ]),
    [
      { output_schema: { items: { $ref: 'https://x.example/' } } },
      'Definition \'output_schema\' is not a valid JSON Schema: /items/$ref: "https://x.example/" is not a part of this schema, and nothing is fetched',
    ],
  ] as [object, string][])('beside its execution: %j', (changes, words) => {
    expect(faultOf(define(changes))).toBe(words);
  });

  it('for a credential that is hidden in a constant', () => {
    const headers = { 'X-Api-Key': '{a}{h}' };
    expect(faultOf(execute({ headers }, { hidden: { h: { value: 's3cr3t' } } }))).toBe(
      `${HEADERS}/X-Api-Key: ${CONSTANT}`,
    );
    expect(faultOf(execute({ headers }, { hidden: { h: { from: 'caller.user_id' } } }))).toBeUndefined();
  });

  it('shows no more of a long name than it must', () => {
    expect(faultOf(execute({ headers: { [`x${'\n'.repeat(5000)}`]: 'a' } }))?.length).toBeLessThan(300);
  });
});

describe('authentication', () => {
  const oauth = {
    type: 'oauth2_client_credentials',
    token_url: 'https://x.example/t',
    client_id: 'i',
    client_secret: 's',
  };
  const key = (bytes: number) => Buffer.alloc(bytes, 7).toString('base64');
  const signing = "must be 24 to 64 bytes in base64, with or without 'whsec_' before it.";

  it.each([
    [null, "'authentication' must be a JSON object."],
    [[], "'authentication' must be a JSON object."],
    ...[undefined, 'digest', 'constructor'].map((type) => [
      { type },
      `Invalid authentication type: '${type ?? null}'. Must be 'bearer' or 'basic' or 'api_key' or 'oauth2_client_credentials' or 'standard_webhooks'.`,
    ]),
    [{ type: 'bearer', token: 'x', extra: 1 }, "Authentication has an unknown key 'extra'."],
    [{ ...oauth, grant: 1 }, "Authentication has an unknown key 'grant'."],
    [{ type: 'basic', password: 'p' }, "Basic authentication requires a 'username'."],
    [{ type: 'basic', username: 'u' }, "Basic authentication requires a 'password'."],
    ...['a:b', 'a\n'].map((username) => [
      { type: 'basic', username, password: 'p' },
      "Authentication 'username' must not have colons or control characters.",
    ]),
    [
      { type: 'basic', username: 'u', password: 'p\r' },
      "Authentication 'password' must not have control characters.",
    ],
    [
      { type: 'api_key', in: 'cookie', name: 'x', value: 'v' },
      "Authentication 'in' must be 'header' or 'query'.",
    ],
    [{ type: 'api_key', in: 'query', name: '', value: 'v' }, "API key authentication requires a 'name'."],
    [{ type: 'api_key', in: 'query', name: 'x' }, "API key authentication requires a 'value'."],
    ...['', ' v', 'v\r\nX-A: b', 'é'].map((value) => [
      { type: 'api_key', in: 'query', name: 'x', value },
      "Authentication 'value' must be visible ASCII characters, with spaces only between them.",
    ]),
    ...[
      ['Host', OWN],
      ['webhook-id', SERVICE],
      ['a b', 'must have a name of letters, digits and hyphens.'],
      ['X-SET', "must not be one that 'headers' sets too."],
    ].map(([name, words]) => [
      { type: 'api_key', in: 'header', name, value: 'v' },
      `/execution/authentication/name: ${words}`,
    ]),
    [
      { type: 'api_key', in: 'query', name: 'set', value: 'v' },
      "/execution/authentication/name: must not be one that 'query' sets too.",
    ],
    [{ ...oauth, token_url: '' }, "OAuth 2.0 authentication requires a 'token_url'."],
    [{ ...oauth, client_secret: undefined }, "OAuth 2.0 authentication requires a 'client_secret'."],
    [{ ...oauth, client_id: 'é' }, "Authentication 'client_id' must be visible ASCII characters or spaces."],
    [{ ...oauth, scope: '' }, "Authentication 'scope' must be visible ASCII characters or spaces."],
    [{ ...oauth, audience: '' }, "Authentication 'audience' must not be empty."],
    [
      { ...oauth, client_authentication: 'jwt' },
      "Authentication 'client_authentication' must be 'basic' or 'body'.",
    ],
    ...[
      ['http://169.254.169.254/', 'must not lead to an address that is not public (Link Local).'],
      ['https://u:p@x.example/', 'must not hold a user name or a password.'],
      ['file:///etc/passwd', 'must use http or https.'],
      ['https://x.example/#a', 'must not have a fragment.'],
    ].map(([url, words]) => [{ ...oauth, token_url: url }, `/execution/authentication/token_url: ${words}`]),
    ...[key(23), key(65), 'whsec_', 'not base64 at all', key(32).slice(0, -1), `whsec_whsec_${key(32)}`].map(
      (secret) => [{ type: 'standard_webhooks', secret }, `Authentication 'secret' ${signing}`],
    ),
    [
      { type: 'standard_webhooks', secret: key(24), previous_secret: 'x' },
      `Authentication 'previous_secret' ${signing}`,
    ],
    [
      { type: 'bearer', token: 'x'.repeat(8193) },
      "Authentication 'token' must have no more than 8192 characters.",
    ],
  ] as [unknown, string][])('%j is refused', (authentication, words) => {
    expect(faultOf(execute({ authentication, headers: { 'x-set': 'a' }, query: { set: 1 } }))).toBe(words);
  });

  const MASK = '********';
  it.each([
    [{ type: 'bearer', token: MASK }],
    [{ type: 'basic', username: '', password: MASK }],
    [{ type: 'basic', username: 'u', password: 'p:\u00E9 ' }],
    [{ type: 'basic', username: 'key', password: '' }],
    [{ type: 'api_key', in: 'header', name: 'Authorization', value: 'Key a b' }],
    [{ type: 'api_key', in: 'query', name: 'api key', value: MASK }],
    [{ ...oauth, client_secret: MASK }],
    [{ ...oauth, scope: 'a b', audience: 'https://x.example/é', client_authentication: 'body' }],
    [{ type: 'standard_webhooks', secret: MASK, previous_secret: MASK }],
    [{ type: 'standard_webhooks', secret: `whsec_${key(24)}`, previous_secret: key(64) }],
  ])('%j is accepted', (authentication) => {
    expect(faultOf(execute({ authentication }))).toBeUndefined();
  });
});

describe('the definition of a call is accepted', () => {
  it.each([
    [{}, {}],
    [{ method: 'GET', url: 'https://x.example/{a}/b?c={b}&d={h}#e' }, { hidden: { h: { value: null } } }],
    [{ query: { a: '{a}', b: [1, true, '{b}'], c: 1.5, d: false, constructor: 'x' } }, {}],
    [
      { headers: { 'X-A': 'x {a}', 'X-B': 'é\t', Authorization: 'Bearer {a}', 'X-Request-Id': '{h}' } },
      { hidden: { h: { from: 'request.id' } } },
    ],
    ...['application/json', 'Application/JSON; charset=utf-8', 'application/vnd.api+json'].map((type) => [
      { headers: { 'Content-Type': type }, body: ['{a}'] },
      {},
    ]),
    [{ headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: { a: '{a}' } }, {}],
    ...[null, 0, '', [], {}, '{a}'].map((body) => [{ method: 'DELETE', body }, {}]),
    [{ max_response_bytes: 268_435_456, output: '', apply_defaults: true }, {}],
    [{ output: '/a~1b/0/~0//' }, { output_schema: { type: ['string', 'null'] } }],
    [{}, { output_schema: false, annotations: { read_only: true, idempotent: false, other: 1 } }],
  ] as [object, object][])('%j beside %j', (changes, others) => {
    const definition = execute(changes, others);
    expect(checkDefinition(context, definition, false)).toEqual({ definition, description: 'Does one.' });
  });

  it('for an internal function, with defaults and hidden parameters', () => {
    const run = { type: 'internal_function', pointer: 'test.function', apply_defaults: true };
    const hidden = { h: { from: 'caller.user_id' } };
    expect(faultOf(define({ execution: run, hidden }), true)).toBeUndefined();
    expect(faultOf(define({ execution: { ...run, apply_defaults: 1 } }), true)).toBe(
      '/execution/apply_defaults: must be true or false.',
    );
  });
});

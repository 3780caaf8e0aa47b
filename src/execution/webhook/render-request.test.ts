import { describe, expect, it } from 'vitest';
import type { JsonObject, JsonValue } from '../../json.ts';
import type { WebhookExecution } from '../../tools/definition.ts';
import { type HttpCall, prepareRequest } from './render-request.ts';

const URL_BASE = 'https://x.example';

type Execution = Partial<Omit<WebhookExecution, 'type'>>;

/** The request of a call whose values are the parameters, beside further names. */
function render(execution: Execution, values: JsonObject = {}, names: readonly string[] = []): HttpCall {
  const known = new Set([...Object.keys(values), ...names]);
  return prepareRequest({ type: 'webhook', url: URL_BASE, ...execution }, known)(values);
}

const urlOf = (url: string, values: JsonObject, names?: string[]) =>
  render({ url: URL_BASE + url, method: 'GET' }, values, names).url.slice(URL_BASE.length);
const bodyOf = (execution: Execution, values: JsonObject, names?: string[]) =>
  JSON.parse(render(execution, values, names).body ?? '"no body"') as JsonValue;
const refusal = (work: () => unknown) => {
  try {
    return work();
  } catch (error) {
    const { code, message, mayHaveRun } = error as Error & { code: string; mayHaveRun: boolean };
    expect([code, mayHaveRun]).toEqual(['invalid_arguments', false]);
    return message.replace('Invalid arguments. ', '').replace(' Correct them and call again.', '');
  }
};

describe('a definition of before', () => {
  it.each([
    ['{}', URL_BASE, `${URL_BASE}/`],
    ['{"b":[1,{"c":null}],"a":"é"}', `${URL_BASE}/a?b=c&&d#e`, `${URL_BASE}/a?b=c&&d`],
    ['{"__proto__":{"a":1},"constructor":2}', `${URL_BASE}/{x}/{{y}}`, `${URL_BASE}/%7Bx%7D/%7B%7By%7D%7D`],
  ])('posts %s as it is', (text, url, sent) => {
    const call = prepareRequest(
      { type: 'webhook', url },
      new Set(['a', 'b']),
    )(JSON.parse(text) as JsonObject);
    expect(call).toEqual({
      url: sent,
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/*;q=0.9, */*;q=0.1',
        'user-agent': 'tool-service',
      },
      body: text,
    });
  });
});

describe('the URL', () => {
  it.each([
    ['/{a}', 'plain-1._~', '/plain-1._~'],
    ['/{a}', 'a b+c', '/a%20b%2Bc'],
    ['/{a}', '../../admin', '/..%2F..%2Fadmin'],
    ['/{a}', '..\\..\\admin', '/..%5C..%5Cadmin'],
    ['/{a}', '%2e%2e%2f', '/%252e%252e%252f'],
    ['/{a}', '?b=c#d', '/%3Fb%3Dc%23d'],
    ['/{a}', '@evil.example/', '/%40evil.example%2F'],
    ['/{a}', "!'()*;:,&=$[]", '/%21%27%28%29%2A%3B%3A%2C%26%3D%24%5B%5D'],
    ['/{a}', 'é天\u{1F600}', '/%C3%A9%E5%A4%A9%F0%9F%98%80'],
    ['/{a}', '\r\n\t\0', '/%0D%0A%09%00'],
    ['/{a}', '{b}', '/%7Bb%7D'],
    ['/{a}', 12.5, '/12.5'],
    ['/{a}', false, '/false'],
    ['/{a}.json', '..', '/...json'],
    ['/{a}/{a}', 'x', '/x/x'],
    ['/{{a}}/{a}', 'x', '/%7Ba%7D/x'],
    ['/{{a}}', 'x', '/%7Ba%7D?a=x'],
    ['/{z}/{a}', 'x', '/%7Bz%7D/x'],
    ['/a?b={a}&c=d', '1&c=2', '/a?b=1%26c%3D2&c=d'],
    ['/a?b={a}', '', '/a?b='],
    ['/a?{a}=1', 'x=y&z', '/a?x%3Dy%26z=1'],
    ['/a?b={a}#f', 'x', '/a?b=x'],
  ] as [string, JsonValue, string][])('%s takes %j as %s', (url, a, expected) => {
    expect(urlOf(url, { a })).toBe(expected);
  });

  it.each([
    ['/{a}', '', '/a: must not be empty, as it is a part of the path of the URL.'],
    ['/{a}', null, '/a: is needed for the URL.'],
    ['/{a}', [1], '/a: must be a string, a number, true or false, as it is a part of the URL.'],
    ['/?b={a}', {}, '/a: must be a string, a number, true or false, as it is a part of the URL.'],
    ['/{a}', 'a\uD800', '/a: must not have lone surrogates.'],
    ...[
      ['/{a}', '.'],
      ['/{a}', '..'],
      ['/x/{a}', '..'],
      ['/x/{a}/y', '.'],
      ['/x/.{a}/y', '.'],
      ['/x/%2e{a}', '.'],
      ['/x/{a}%2E/y', '.'],
      ['\\x\\{a}\\y', '..'],
      ['/{a}{a}', '.'],
      ['/.\t{a}/x', '.'],
    ].map(([url, value]) => [url, value, '/a: must not make a segment of dots in the path of the URL.']),
  ] as [string, JsonValue, string][])('%s refuses %j', (url, a, words) => {
    expect(refusal(() => urlOf(url, { a }))).toBe(words);
  });

  it('leaves out a pair of the query that has no value, and needs every value of the path', () => {
    expect(urlOf('/x?a={a}&b=1&c=-{c}', {}, ['a', 'c'])).toBe('/x?b=1');
    expect(urlOf('/x?a={a}&c={c}', { a: 1, c: null })).toBe('/x?a=1');
    expect(refusal(() => urlOf('/{a}/x', {}, ['a']))).toBe('/a: is needed for the URL.');
    expect(urlOf('/{constructor}', {}, [])).toBe('/%7Bconstructor%7D');
    expect(refusal(() => urlOf('/{constructor}', {}, ['constructor']))).toBe(
      '/constructor: is needed for the URL.',
    );
  });

  it('names the argument that makes a segment of dots, and no pointer of another', () => {
    expect(refusal(() => urlOf('/{a}/{b~/c}', { a: 'x', 'b~/c': '..' }))).toBe(
      '/b~0~1c: must not make a segment of dots in the path of the URL.',
    );
  });

  it('is bounded', () => {
    const words = /^They make a URL of more than 16384 characters\./;
    expect(refusal(() => urlOf('/{a}', { a: 'x'.repeat(16_384) }))).toMatch(words);
    expect(refusal(() => urlOf('/', { a: 'é'.repeat(3000) }))).toMatch(words);
    expect(urlOf('/', { a: 'x'.repeat(16_000) })).toHaveLength(16_004);
  });

  it.each([
    'https://{a}.example/',
    'https://x.example{a}/',
    'https://{a}@x.example/',
    'https://x.example:8{a}',
  ])('is never made of %s, should such a definition be stored', (url) => {
    expect(() => render({ url }, { a: '1' })).toThrow(
      expect.objectContaining({
        code: 'internal',
        message: "The tool's URL has a parameter before its path.",
      }),
    );
  });

  it('keeps its origin, its segments and the names of its query for 1000 hostile values', () => {
    const pieces = [
      '.',
      '..',
      '/',
      '\\',
      '%2e',
      '%2F',
      '%',
      '?',
      '#',
      '&',
      '=',
      '@',
      ':',
      '//',
      '\r\n',
      '\t',
    ];
    pieces.push(
      '\0',
      ' ',
      '+',
      ';',
      '{a}',
      '{{',
      'é',
      '\u{1F600}',
      '\u202E',
      '\uFF0F',
      'a',
      '1',
      "'",
      '"',
      '<',
      '[',
    );
    // A linear congruential generator, so that a failure can be seen again.
    let seed = 1;
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * below);
    };
    const hostile = () => Array.from({ length: 1 + random(6) }, () => pieces[random(pieces.length)]).join('');
    const execution = {
      url: `${URL_BASE}/p/{a}/q-{b}/r?c={c}&d=e`,
      method: 'GET',
      query: { f: '{f}' },
    } as const;
    const shape = (url: URL) => [
      url.origin,
      url.username,
      url.hash,
      url.pathname.split('/').length,
      [...url.searchParams.keys()],
    ];
    let refused = 0;
    for (let round = 0; round < 1000; round++) {
      const values = { a: hostile(), b: hostile(), c: hostile(), f: hostile() };
      const call = refusal(() => render(execution, values));
      if (typeof call === 'string') {
        expect(['.', '..']).toContain(values.a);
        refused++;
        continue;
      }
      const url = new URL((call as HttpCall).url);
      expect(shape(url), JSON.stringify(values)).toEqual([URL_BASE, '', '', 5, ['c', 'd', 'f']]);
      expect(decodeURIComponent(url.pathname.split('/')[2] ?? '')).toBe(values.a);
      expect([url.searchParams.get('c'), url.searchParams.get('f')]).toEqual([values.c, values.f]);
    }
    expect(refused).toBeGreaterThan(0);
    expect(refused).toBeLessThan(100);
  });
});

describe('the query', () => {
  const queryOf = (query: NonNullable<Execution['query']>, values: JsonObject, names?: string[]) =>
    render({ url: `${URL_BASE}/?a=b`, method: 'GET', query }, values, names).url.slice(
      `${URL_BASE}/?`.length,
    );

  it.each([
    [{ x: 'y z', n: 1.5, t: true, l: [1, 'b&'] }, {}, '&x=y%20z&n=1.5&t=true&l=1&l=b%26'],
    [{ 'a b&': '{v}' }, { v: 'c=d&e' }, '&a%20b%26=c%3Dd%26e'],
    [{ x: '{v}' }, { v: [1, 'b', null, [2], { c: 3 }] }, '&x=1&x=b&x=%5B2%5D&x=%7B%22c%22%3A3%7D'],
    [{ x: '{v}' }, { v: [] }, ''],
    [{ x: '{v}' }, { v: { a: 1 } }, '&x=%7B%22a%22%3A1%7D'],
    [{ x: '{v}', y: '-{v}', z: ['{v}', 'c'] }, { v: null }, '&z=c'],
    [{ x: '{v}{w}' }, { v: 1, w: [2] }, '&x=1%5B2%5D'],
    [{ x: '{{v}}' }, { v: 1 }, '&x=%7Bv%7D', 'v=1&'],
    [{ x: '{constructor}' }, {}, ''],
  ] as [NonNullable<Execution['query']>, JsonObject, string, string?][])(
    '%j of %j is %s',
    (query, values, expected, free = '') => {
      expect(queryOf(query, values, ['v', 'constructor'])).toBe(`${free}a=b${expected}`);
    },
  );

  it('refuses half a character, and names the argument', () => {
    for (const text of ['{v}', 'x{v}']) {
      expect(refusal(() => queryOf({ x: text }, { v: '\uDC00' }))).toBe('/v: must not have lone surrogates.');
    }
    expect(refusal(() => queryOf({}, { '\uD800': 1 }))).toBe('/\uFFFD: must not have lone surrogates.');
  });
});

describe('headers', () => {
  const headersOf = (headers: Record<string, string>, values: JsonObject = {}, names?: string[]) => {
    const {
      accept,
      'user-agent': agent,
      'content-type': type,
      ...others
    } = render({ headers }, values, names).headers;
    return others;
  };

  it('are templates, under names in lower case', () => {
    const values = { a: 'b', n: 1, l: ['x', 2, true] };
    expect(headersOf({ 'X-A': 'v {a}/{n}', 'X-L': '{l}', 'X-C': '{{a}} {z}' }, values)).toEqual({
      'x-a': 'v b/1',
      'x-l': 'x, 2, true',
      'x-c': '{a} {z}',
    });
  });

  it('are left out when a value was not given', () => {
    expect(headersOf({ 'X-A': 'v{a}', 'X-B': '{b}', 'X-C': 'c' }, { b: null }, ['a'])).toEqual({
      'x-c': 'c',
    });
  });

  it.each(['a\r\nX-Evil: 1', 'a\nb', 'a\rb', '\0', '\x7F', '天', '\u{1F600}', ['a', 'b\r\nc']])(
    'refuse %j',
    (a) => {
      expect(refusal(() => headersOf({ 'X-A': 'v {a}' }, { a }))).toBe(
        '/a: must not have line breaks, control characters or characters beyond Latin-1.',
      );
    },
  );

  it.each([[{}], [[[1]]], [[null]]])('refuse %j', (a) => {
    expect(refusal(() => headersOf({ 'X-A': '{a}' }, { a: a as JsonValue }))).toBe(
      '/a: must be a string, a number, true, false or a list of these, as a header takes it.',
    );
  });

  it("take the place of the service's own", () => {
    const headers = {
      Accept: 'text/csv',
      'User-Agent': 'mine/{a}',
      'Content-Type': 'application/vnd.api+json',
    };
    expect(render({ headers }, { a: 1 }).headers).toEqual({
      accept: 'text/csv',
      'user-agent': 'mine/1',
      'content-type': 'application/vnd.api+json',
    });
    expect(render({ headers }, {}, ['a']).headers['user-agent']).toBe('tool-service');
  });
});

describe('the body', () => {
  it.each([
    ['{v}', { a: 1 }, { a: 1 }],
    ['{v}', [1], [1]],
    ['{v}', null, null],
    ['v is {v}', 'x"y', 'v is x"y'],
    [{ a: '{v}' }, 1, { a: 1 }],
    [{ a: '{v}' }, null, { a: null }],
    [{ a: '{v}' }, '{v}', { a: '{v}' }],
    [
      { a: '{v}', b: ['{v}', { c: '{v}' }] },
      { d: [true] },
      { a: { d: [true] }, b: [{ d: [true] }, { c: { d: [true] } }] },
    ],
    [{ a: 'v={v};' }, 1.5, { a: 'v=1.5;' }],
    [{ a: 'v={v};' }, false, { a: 'v=false;' }],
    [{ a: 'v={v};' }, { b: ['é'] }, { a: 'v={"b":["é"]};' }],
    [
      { a: '{{v}}', b: '{z}', c: '{{', d: '{{{v}}}', '{v}': 1 },
      2,
      { a: '{v}', b: '{z}', c: '{', d: '{2}', '{v}': 1 },
    ],
    [{ a: 1, b: null, c: [true, ['x']] }, undefined, { a: 1, b: null, c: [true, ['x']] }],
    [{ a: '{v}', b: ['{v}', 1, { c: '-{v}' }], d: { e: '{v}' } }, undefined, { b: [1, {}], d: {} }],
    [{ a: 'x{v}', b: 1 }, null, { b: 1 }],
    ['{v}', undefined, 'no body'],
    [['{v}'], [], [[]]],
  ] as [JsonValue, JsonValue | undefined, JsonValue][])('%j of %j is %j', (body, v, expected) => {
    expect(bodyOf({ body }, v === undefined ? {} : { v }, ['v'])).toEqual(expected);
  });

  it('keeps what hostile keys hold as data', () => {
    const body = JSON.parse('{"__proto__":{"a":"{v}"},"constructor":"{v}"}') as JsonObject;
    const values = JSON.parse('{"v":1,"toString":2}') as JsonObject;
    expect(render({ body }, values).body).toBe('{"toString":2,"__proto__":{"a":1},"constructor":1}');
    const hostile = JSON.parse('{"v":1,"__proto__":{"polluted":1}}') as JsonObject;
    expect(render({ body: { a: '{v}' } }, hostile).body).toBe('{"__proto__":{"polluted":1},"a":1}');
    expect(
      render({ body: { a: '{__proto__}', b: '{constructor}' } }, {}, ['__proto__', 'constructor']).body,
    ).toBe('{}');
    expect(render({ body: '{__proto__}' }, JSON.parse('{"__proto__":{"a":1}}') as JsonObject).body).toBe(
      '{"a":1}',
    );
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  it('is a form where its type says so', () => {
    const headers = { 'Content-Type': 'Application/X-WWW-Form-urlencoded; charset=utf-8' };
    const values = { a: 'b c&d', l: [1, [2], null], o: { x: 1 }, n: null };
    const call = render({ headers, body: { first: '{a}', k: 1 } }, values);
    expect(call.headers['content-type']).toBe(headers['Content-Type']);
    expect(call.body).toBe('l=1&l=%5B2%5D&o=%7B%22x%22%3A1%7D&first=b+c%26d&k=1');
    expect(render({ headers }, { a: 1 }).body).toBe('a=1');
    expect(refusal(() => render({ headers }, { a: '\uD800' }))).toBe('/a: must not have lone surrogates.');
  });
});

describe('what no template places', () => {
  it.each(['GET', 'HEAD', 'DELETE'] as const)('goes into the query of %s', (method) => {
    const values = { a: 'b c', l: [1, null, 'x'], o: { p: [] }, n: null, e: [] };
    expect(render({ method, url: `${URL_BASE}/?q=1` }, values)).toEqual({
      url: `${URL_BASE}/?a=b%20c&l=1&l=x&o=%7B%22p%22%3A%5B%5D%7D&q=1`,
      method,
      headers: { accept: 'application/json, text/*;q=0.9, */*;q=0.1', 'user-agent': 'tool-service' },
      body: undefined,
    });
  });

  it.each(['POST', 'PUT', 'PATCH'] as const)('goes into the body of %s', (method) => {
    const execution = {
      method,
      url: `${URL_BASE}/{a}?b={b}`,
      query: { c: '{c}' },
      headers: { 'X-D': '{d}' },
    };
    const values = { a: 1, b: 2, c: 3, d: 4, e: [5], f: null };
    const call = render(execution, values);
    expect([call.url, call.headers['x-d'], call.body]).toEqual([
      `${URL_BASE}/1?b=2&c=3`,
      '4',
      '{"e":[5],"f":null}',
    ]);
    expect(render({ method, url: `${URL_BASE}/{a}` }, { a: 1 }).body).toBe('{}');
  });

  it('goes into the body of DELETE where it has one', () => {
    expect(bodyOf({ method: 'DELETE', body: { a: 1 } }, { b: 2 })).toEqual({ a: 1, b: 2 });
  });

  it('goes into the query where the body is no object', () => {
    for (const body of [['{a}'], 'x {a}', 'x', null, 0, '{missing}']) {
      const call = render({ body }, { a: 1, b: 2 }, ['missing']);
      expect(call.url).toMatch(JSON.stringify(body).includes('{a}') ? /\/\?b=2$/ : /\/\?a=1&b=2$/);
    }
    const call = render({ body: '{missing}' }, {}, ['missing']);
    expect([call.body, call.headers['content-type']]).toEqual([undefined, undefined]);
  });

  it('never sets what the definition itself writes', () => {
    const values = { tenant: 'evil', limit: 9, q: 'x', other: 1 };
    expect(bodyOf({ body: { tenant: 'acme', limit: '{max}' } }, values, ['max'])).toEqual({
      tenant: 'acme',
      q: 'x',
      other: 1,
    });
    const execution = {
      method: 'GET',
      url: `${URL_BASE}/?tenant=acme&%71={max}`,
      query: { limit: '{max}' },
    } as const;
    expect(render(execution, values, ['max']).url).toBe(`${URL_BASE}/?other=1&tenant=acme`);
  });
});

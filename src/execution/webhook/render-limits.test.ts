import { describe, expect, it, vi } from 'vitest';
import type { JsonObject, JsonValue } from '../../json.ts';
import type { WebhookExecution } from '../../tools/definition.ts';
import { type HttpCall, prepareRequest } from './render-request.ts';

type Execution = Partial<Omit<WebhookExecution, 'type'>>;

const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' };
const LONG = 'y'.repeat(1_000_000);
const URL_WORDS = 'a URL of more than 16384 characters';
const BODY_WORDS = 'a body of more than 4194304 bytes';
const HEADERS_WORDS = 'headers of more than 16384 bytes';

const times = (text: string, many: number) => Array.from({ length: many }, () => text);

function render(execution: Execution, x: JsonValue, names = ['x']): HttpCall {
  const url = 'https://x.example/';
  return prepareRequest({ type: 'webhook', url, ...execution }, new Set(names))({ x });
}

function refusal(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    const { code, message, mayHaveRun } = error as Error & { code: string; mayHaveRun: boolean };
    return { code, message, mayHaveRun };
  }
}

const tooLarge = (words: string) => ({
  code: 'invalid_arguments',
  message: `Invalid arguments. They make ${words}. Shorten them and call again.`,
  mayHaveRun: false,
});

describe('an argument that a definition takes many times', () => {
  it.each<[string, Execution, string]>([
    ['members of a body', { body: { a: times('{x}', 500) } }, BODY_WORDS],
    ['a text of a body', { body: { a: '{x}'.repeat(500) } }, BODY_WORDS],
    ['texts of a body', { body: { a: times('-{x}', 500) } }, BODY_WORDS],
    ['a form', { headers: FORM, body: { a: times('{x}', 500) } }, BODY_WORDS],
    ['the path', { url: `https://x.example/${'{x}'.repeat(100)}` }, URL_WORDS],
    ['the query of the URL', { url: `https://x.example/?a=${'{x}'.repeat(100)}` }, URL_WORDS],
    ['the query', { query: { q: times('{x}', 200) } }, URL_WORDS],
    ['texts of the query', { query: { q: times('-{x}{x}', 200) } }, URL_WORDS],
    ['a header', { headers: { 'x-a': '{x}'.repeat(200) } }, HEADERS_WORDS],
    [
      'headers',
      { headers: Object.fromEntries(times('', 200).map((_, i) => [`x-${i}`, '{x}'])) },
      HEADERS_WORDS,
    ],
  ])('is refused in %s before a large text is made', (_, execution, words) => {
    const stringify = vi.spyOn(JSON, 'stringify');
    const encode = vi.spyOn(globalThis, 'encodeURIComponent');
    try {
      expect(refusal(() => render(execution, LONG))).toEqual(tooLarge(words));
      const made = [...stringify.mock.results, ...encode.mock.results].map(
        ({ value }) => String(value).length,
      );
      expect(Math.max(0, ...made)).toBeLessThan(LONG.length + 3);
      expect(made.length).toBeLessThan(10);
    } finally {
      stringify.mockRestore();
      encode.mockRestore();
    }
  });

  it.each<[string, Execution, JsonValue, string]>([
    ['members of a body', { body: times('{x}', 500) }, [times('\u0001', 10_000)], BODY_WORDS],
    ['texts of a body', { body: times('-{x}', 500) }, { a: times('"', 10_000) }, BODY_WORDS],
    ['the query', { query: { q: times('{x}', 5000) } }, times('', 20_000), URL_WORDS],
    ['texts of the query', { query: { q: times('-{x}', 5000) } }, times('', 20_000), URL_WORDS],
    ['headers', { headers: { a: '{x}'.repeat(5000) } }, times('', 20_000), HEADERS_WORDS],
  ])('makes the text of a list or an object no more than a few times, in %s', (_, execution, x, words) => {
    const stringify = vi.spyOn(JSON, 'stringify');
    try {
      expect(refusal(() => render(execution, x))).toEqual(tooLarge(words));
      const large = stringify.mock.results.filter(({ value }) => String(value).length > 10_000);
      expect(large.length).toBeLessThan(4);
    } finally {
      stringify.mockRestore();
    }
  });

  it('is looked at once, even if it comes to nothing', () => {
    const nothing = Array.from({ length: 20_000 }, () => null);
    const filter = vi.spyOn(nothing, 'filter');
    expect(render({ query: { q: times('{x}', 5000) } }, nothing).url).toBe('https://x.example/');
    expect(filter).toHaveBeenCalledTimes(1);
  });

  it('is taken as long as it fits, and dropped with its key where another is missing', () => {
    expect(render({ body: times('{x}', 4) }, LONG).body).toHaveLength(4_000_013);
    expect(render({ body: times('-{x}-', 4) }, LONG).body).toHaveLength(4_000_021);
    const dropped: Execution = {
      url: 'https://x.example/?a={x}{z}',
      query: { q: '{x}{z}' },
      headers: { a: '{x}{z}' },
      body: { a: times('{x}{x}{z}', 9), b: 1 },
    };
    const { url, headers, body } = render(dropped, LONG, ['x', 'z']);
    expect([url, headers.a, body]).toEqual(['https://x.example/', undefined, '{"a":[],"b":1}']);
  });
});

describe('the limits', () => {
  it('count a URL before and after its values are encoded', () => {
    const execution = { url: 'https://x.example/{x}' };
    expect(render(execution, 'y'.repeat(16_384 - 18)).url).toHaveLength(16_384);
    for (const x of ['y'.repeat(16_384 - 17), 'é'.repeat(2728)]) {
      expect(refusal(() => render(execution, x))).toEqual(tooLarge(URL_WORDS));
    }
  });

  it('count what no template places and goes into the query, with names that a list repeats', () => {
    const encode = vi.spyOn(globalThis, 'encodeURIComponent');
    const name = 'n'.repeat(8000);
    const url = 'https://x.example/';
    const call = prepareRequest({ type: 'webhook', url, method: 'GET' }, new Set());
    expect(refusal(() => call({ [name]: times('', 50_000) }))).toEqual(tooLarge(URL_WORDS));
    expect(encode.mock.calls.length).toBeLessThan(10);
    encode.mockClear();
    expect(refusal(() => call({ [LONG]: 1 }))).toEqual(tooLarge(URL_WORDS));
    expect(encode.mock.calls).toEqual([]);
    encode.mockRestore();
  });

  it('count all headers together, with their names', () => {
    const headers = { a: '{x}', b: '{x}' };
    expect(render({ headers }, 'y'.repeat(8192 - 5)).headers.b).toHaveLength(8187);
    expect(refusal(() => render({ headers }, 'y'.repeat(8192 - 4)))).toEqual(tooLarge(HEADERS_WORDS));
  });

  it('count a body in bytes, with what no template places', () => {
    const fits = 'y'.repeat(4_194_304 - 8);
    const send = (values: JsonObject, headers = {}) =>
      prepareRequest({ type: 'webhook', url: 'https://x.example/', headers }, new Set())(values).body;
    expect(send({ a: fits })).toHaveLength(4_194_304);
    for (const a of [`${fits}y`, '\n'.repeat(2_100_000), '天'.repeat(1_400_000)]) {
      expect(refusal(() => send({ a }))).toEqual(tooLarge(BODY_WORDS));
    }
    expect(refusal(() => send({ a: '天'.repeat(500_000) }, FORM))).toEqual(tooLarge(BODY_WORDS));
  });

  it('count the key that a list repeats in a form', () => {
    const encode = vi.spyOn(String.prototype, 'isWellFormed');
    const values = { ['k'.repeat(100_000)]: times('', 50_000) };
    const call = prepareRequest({ type: 'webhook', url: 'https://x.example/', headers: FORM }, new Set());
    expect(refusal(() => call(values))).toEqual(tooLarge(BODY_WORDS));
    expect(encode.mock.calls.length).toBeLessThan(200);
    encode.mockRestore();
  });
});

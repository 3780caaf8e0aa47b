import { describe, expect, it } from 'vitest';
import { maskSecrets } from './mask-secrets.ts';

const SECRET = 's3cr/t+ "é\\ü~9';
const masked = (value: unknown, ...secrets: string[]) =>
  JSON.parse(maskSecrets(JSON.stringify(value), secrets));

/** Each character as \uXXXX. */
const inHex = (text: string) =>
  text.replace(/./gs, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('maskSecrets', () => {
  it.each<[string, string]>([
    ['as JSON must', JSON.stringify(SECRET).slice(1, -1)],
    ['with each slash escaped', JSON.stringify(SECRET).slice(1, -1).replaceAll('/', '\\/')],
    ['in hex', inHex(SECRET)],
    ['in upper-case hex', inHex(SECRET).toUpperCase().replaceAll('\\U', '\\u')],
    ['as JSON within a string', JSON.stringify(JSON.stringify(SECRET)).slice(3, -3)],
    ['in hex within a string', inHex(SECRET).replaceAll('\\', '\\\\')],
    ['percent-encoded', encodeURIComponent(SECRET)],
    [
      'percent-encoded in lower case',
      encodeURIComponent(SECRET).replace(/%../g, (code) => code.toLowerCase()),
    ],
    ['percent-encoded throughout', Buffer.from(SECRET).toString('hex').replace(/../g, '%$&')],
    ['as Latin-1', JSON.stringify(Buffer.from(SECRET).toString('latin1')).slice(1, -1)],
  ])('finds a secret spelt %s', (_how, spelling) => {
    const json = `{"before ${spelling} after":["${spelling}",1]}`;
    expect(maskSecrets(json, [SECRET])).toBe('{"before ******** after":["********",1]}');
  });

  it.each(['', 'x', 'Bearer ', 'user:'])('finds base64 of a secret behind "%s"', (before) => {
    for (const after of ['', 'y', 'yz']) {
      const text = base64(before + SECRET + after);
      const url = text.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
      for (const spelling of [text, url, encodeURIComponent(text)]) {
        const found = masked({ spelling }, SECRET).spelling as string;
        expect(found).toContain('********');
        // What is left of it are the texts beside, and the characters that they share with it.
        const rest = found.split('********').map((part) => part.replace(/(?:=|%3D)+$/, '').length);
        expect(rest[0]).toBeLessThanOrEqual(Math.ceil((before.length * 8) / 6));
        expect(rest[1]).toBeLessThanOrEqual(Math.ceil((after.length * 8) / 6) + 1);
      }
    }
  });

  it('touches nothing but strings', () => {
    const json = '{"id":12345,"ok":true,"n":[null,-1.2345e+7],"t":"12345"}';
    expect(maskSecrets(json, ['1234', 'true', 'null', '","t', '{"id"', '345,"'])).toBe(
      json.replace('"12345"', '"********5"'),
    );
  });

  it('finds nothing across two strings, and no half of an escape', () => {
    const json = '["ab","cd","\\\\secret","C:\\\\bfoo","\\"quoted","x\\u0041BCD"]';
    expect(maskSecrets(json, ['ab","cd', 'abcd', 'secret', 'bfoo', '"quoted', 'u0041', '0041'])).toBe(
      '["ab","cd","\\\\********","C:\\\\********","********","x\\u0041BCD"]',
    );
  });

  it('leaves text without a secret as it is, to the letter', () => {
    const json = ' {"a" : "\\u00e9\\/%41%zz\\\\u00", "b":1.0e+2}\n';
    expect(maskSecrets(json, ['another', 'abc', ''])).toBe(json);
    expect(maskSecrets(json, [])).toBe(json);
    expect(maskSecrets('{"a":"abc"}', ['abc'])).toBe('{"a":"abc"}');
  });

  it('hides all of what overlaps or touches', () => {
    expect(masked(['xabcabcabcx', 'abcdabcd', 'ab\u{1f600}cd'], 'abcabc', 'abcd', 'b\u{1f600}c')).toEqual([
      'x********x',
      '********',
      'a********d',
    ]);
    expect(masked('secret-token', 'secret-token', 'token')).toBe('********');
  });

  it('agrees with a plain search on texts of few letters', () => {
    let seed = 1;
    const next = (below: number) => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    const textOf = (length: number) => Array.from({ length }, () => 'ab'[next(2)]).join('');
    for (let round = 0; round < 500; round++) {
      const text = textOf(60);
      const secret = textOf(4 + next(6));
      const hidden = [...text].map((_, at) =>
        Array.from(secret, (_, back) => at - back).some((from) => from >= 0 && text.startsWith(secret, from)),
      );
      const marked = [...text].map((unit, at) => (hidden[at] ? '*' : unit)).join('');
      expect(masked(text, secret)).toBe(marked.replace(/\*+/g, '********'));
    }
  });
});

describe('maskSecrets, with hostile secrets and answers', () => {
  const MIB = 1024 * 1024;
  const alike = Array.from({ length: 8 }, (_, index) => 'a'.repeat(16_383) + index);

  it.each<[string, string, string[]]>([
    ['backslashes', '\\'.repeat(60), [`${'\\'.repeat(20)}x`]],
    ['many backslashes', '\\'.repeat(MIB / 2), [`${'\\'.repeat(16_383)}x`]],
    ['a letter over and over', 'a'.repeat(MIB), alike],
    ['with all of their beginnings and ends', `${alike.join('x')}${'a'.repeat(MIB)}`, alike],
    ['that begin otherwise', `b${'a'.repeat(MIB)}`, [`b${'a'.repeat(16_382)}b`, `${'a'.repeat(16_382)}ba`]],
    ['found everywhere', 'a'.repeat(MIB), ['aaaa', 'a'.repeat(16_384)]],
    ['with much percent', '%41'.repeat(MIB / 3), [`${'A'.repeat(16_383)}%`]],
    ['of 64 KiB', 'x', ['%2F'.repeat(22_000)]],
  ])('takes time in proportion: %s', (_what, text, secrets) => {
    const json = JSON.stringify(text);
    const start = performance.now();
    const output = maskSecrets(json, secrets);
    expect(performance.now() - start).toBeLessThan(500);
    expect(() => JSON.parse(output)).not.toThrow();
  });

  it('costs next to nothing where there is no secret', () => {
    const json = JSON.stringify(Array(20_000).fill('some text,\n "quoted", with nothing secret in it'));
    const start = performance.now();
    for (let round = 0; round < 10; round++) {
      expect(maskSecrets(json, ['sk-live-abcdefghijklmnop'])).toBe(json);
    }
    expect(performance.now() - start).toBeLessThan(300);
  });
});

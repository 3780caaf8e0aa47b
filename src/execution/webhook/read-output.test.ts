import { describe, expect, it } from 'vitest';
import { CallError } from '../call.ts';
import { readOutput } from './read-output.ts';

interface Answer {
  readonly pointer?: string;
  readonly secrets?: readonly string[];
  readonly status?: number;
  readonly type?: string;
}

const read = (
  body: string | Buffer,
  { pointer, secrets = [], status = 200, type = 'text/plain' }: Answer = {},
) => readOutput({ status, headers: { 'content-type': type }, body: Buffer.from(body) }, { pointer, secrets });

function refusalOf(work: () => string): string {
  try {
    return `no refusal: ${work().slice(0, 50)}`;
  } catch (error) {
    if (error instanceof CallError && error.code === 'invalid_response') return error.message;
    throw error;
  }
}

describe('readOutput', () => {
  it.each<[string, string, Answer, string]>([
    [
      'JSON, digit for digit',
      '{"a": 1.0, "a":12345678901234567890}',
      {},
      '{"a": 1.0, "a":12345678901234567890}',
    ],
    ['JSON behind a byte order mark', '\uFEFF[1]', {}, '[1]'],
    ['text', 'a "b"', {}, '"a \\"b\\""'],
    ['nothing', '', {}, 'null'],
    ['204', 'ignored', { status: 204 }, 'null'],
    ['a part', '{"a/b":[{"~":1}]}', { pointer: '/a~1b/0/~0' }, '1'],
    ['the part of an empty name', '{"":2}', { pointer: '/' }, '2'],
    ['the whole', ' [1.0]', { pointer: '' }, ' [1.0]'],
  ])('gives %s', (_what, body, answer, output) => {
    expect(read(body, answer)).toBe(output);
  });

  it('says what cannot be read', () => {
    expect(refusalOf(() => read(Buffer.from([0xff, 0xfe])))).toContain('not UTF-8');
    expect(refusalOf(() => read('{"a":', { type: 'application/json' }))).toContain('not valid JSON');
    expect(refusalOf(() => read('[1]', { pointer: '/01' }))).toContain('nothing at /01');
    expect(refusalOf(() => read('text', { pointer: '/length' }))).toContain('nothing at /length');
    expect(refusalOf(() => read('{}', { pointer: '/constructor' }))).toContain('nothing at /constructor');
  });

  it('takes no part that is nested too deeply to be written, and the whole as it came', () => {
    const body = '['.repeat(100_000) + ']'.repeat(100_000);
    expect(refusalOf(() => read(body, { pointer: '/0' }))).toContain('too deeply nested');
    expect(read(body)).toBe(body);
  });

  it('masks what was sent, wherever it comes back', () => {
    const secrets = ['1234'];
    expect(read('{"id":12345,"pin":"1234"}', { secrets, type: 'application/json' })).toBe(
      '{"id":12345,"pin":"********"}',
    );
    expect(read('{"a":{"k1234":"x\\u0031234"}}', { secrets, pointer: '/a' })).toBe(
      '{"k********":"x********"}',
    );
    expect(read('pin=1234 "1\\u00324" \\1234', { secrets: ['pin', '1234'] })).toBe(
      JSON.stringify('pin=******** "1\\u00324" \\********'),
    );
    expect(read('data: {"key":"a\\/b-c"}', { secrets: ['a/b-c'] })).toBe(
      JSON.stringify('data: {"key":"********"}'),
    );
  });

  it.each<[string, string]>([
    ['backslashes', `${'\\'.repeat(20)}x`],
    ['8 KiB', '/'.repeat(8192)],
    ['a long token', 'eyJhbGciOiJIUzI1NiJ9.'.repeat(400)],
  ])('is quick, and does not fail, with a secret of %s', (_what, secret) => {
    const start = performance.now();
    expect(read(`"${'\\\\'.repeat(19)}y"`, { secrets: [secret] })).toBe(`"${'\\\\'.repeat(19)}y"`);
    expect(read(`${'\\'.repeat(44)}y`, { secrets: [secret] })).toContain('y"');
    expect(performance.now() - start).toBeLessThan(200);
  });
});

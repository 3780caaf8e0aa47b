import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { JsonObject, JsonValue } from '../../json.ts';
import { hashArguments } from './arguments-hash.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const parse = (text: string) => JSON.parse(text) as JsonObject;

describe('hashArguments', () => {
  it('is the SHA-256 of canonical JSON', () => {
    expect(hashArguments({})).toBe(sha256('{}'));
    expect(hashArguments({ b: [1, { d: null, c: 'x' }, []], a: { z: true, y: {} } })).toBe(
      sha256('{"a":{"y":{},"z":true},"b":[1,{"c":"x","d":null},[]]}'),
    );
  });

  it('writes keys and numbers as RFC 8785 does', () => {
    // Section 3.2.3: in order of UTF-16 code units.
    const unordered = '{"€":1,"\\r":2,"\ufb33":3,"1":4,"😀":5,"\u0080":6,"ö":7,"10":8,"9":9}';
    expect(hashArguments(parse(unordered))).toBe(
      sha256('{"\\r":2,"1":4,"10":8,"9":9,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}'),
    );
    expect(hashArguments(parse('{"a":[1.0,1e30,-0,0.000001,1e-7,333333333.33333329]}'))).toBe(
      sha256('{"a":[1,1e+30,0,0.000001,1e-7,333333333.3333333]}'),
    );
  });

  it('does not depend on the order of keys, and on everything else', () => {
    expect(hashArguments({ a: 1, b: { c: 2, d: 3 } })).toBe(hashArguments({ b: { d: 3, c: 2 }, a: 1 }));
    const others: JsonObject[] = [
      { a: 1 },
      { a: '1' },
      { a: [1] },
      { a: { '0': 1 } },
      { a: null },
      { a: {} },
      { a: [] },
      { a: '' },
      { a: [1, 2] },
      { a: [2, 1] },
      { a: [[1], 2] },
      { a: 1, b: 1 },
      { 'a":1,"b': 1 },
    ];
    expect(new Set(others.map(hashArguments)).size).toBe(others.length);
  });

  it("takes a stranger's keys as data", () => {
    const hostile = parse('{"__proto__":{"x":1},"constructor":1,"toJSON":2,"length":3}');
    expect(hashArguments(hostile)).toBe(
      sha256('{"__proto__":{"x":1},"constructor":1,"length":3,"toJSON":2}'),
    );
    expect(hashArguments(parse('{"__proto__":{"x":1}}'))).not.toBe(hashArguments({}));
    expect(hashArguments({ a: '\ud800' })).not.toBe(hashArguments({ a: '\ufffd' }));
  });

  it('takes arguments of any depth', () => {
    const depth = 100_000;
    let value: JsonValue = 1;
    for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { a: value };
    expect(hashArguments({ a: value })).toMatch(/^[0-9a-f]{64}$/);
  });
});

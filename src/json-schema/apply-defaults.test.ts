import { describe, expect, test } from 'vitest';
import type { JsonObject, JsonValue } from '../json.ts';
import { applyDefaults, TooManyDefaults } from './apply-defaults.ts';
import { compileSchema } from './compile-schema.ts';
import { fastest } from './data-for-tests.ts';

const DRAFT_07 = 'http://json-schema.org/draft-07/schema#';

/** Milliseconds of one filling-in. Some ten are usual; the rest is for a machine with other work. */
const LIMIT = 200;

/** A schema with one default. */
const box: JsonObject = { properties: { size: { default: 1 } } };

describe('defaults are filled in', () => {
  const cases: [name: string, schema: JsonObject, value: JsonObject, filled: JsonObject][] = [
    ['where nothing is', { properties: { a: { default: 1 } } }, {}, { a: 1 }],
    ['after what is there', { properties: { b: { default: 1 }, a: {} } }, { a: 2 }, { a: 2, b: 1 }],
    ['not over what is there', { properties: { a: { default: 1 } } }, { a: null }, { a: null }],
    [
      'of every type',
      {
        properties: { a: { default: null }, b: { default: false }, c: { default: '' }, d: { default: [0] } },
      },
      {},
      { a: null, b: false, c: '', d: [0] },
    ],
    ['in objects', { properties: { a: box } }, { a: {} }, { a: { size: 1 } }],
    ['not for objects that are missing', { properties: { a: box } }, {}, {}],
    [
      'of defaults',
      { properties: { a: { ...box, default: { x: 1 } } } },
      {},
      {
        a: { x: 1, size: 1 },
      },
    ],
    [
      'by a reference to all',
      { properties: { size: { default: 1 }, next: { $ref: '#' } } },
      { next: { next: {} } },
      { next: { next: { size: 1 }, size: 1 }, size: 1 },
    ],
    [
      'by a reference',
      { properties: { a: { $ref: '#/$defs/a~1b' } }, $defs: { 'a/b': { default: 1 } } },
      {},
      { a: 1 },
    ],
    [
      'by an anchor',
      { properties: { a: { $ref: '#x' } }, $defs: { a: { $anchor: 'x', default: 1 } } },
      {},
      { a: 1 },
    ],
    [
      'before those of a reference',
      { properties: { a: { $ref: '#/$defs/a', default: 2 } }, $defs: { a: { default: 1 } } },
      {},
      { a: 2 },
    ],
    [
      'of all that holds',
      { allOf: [box, { properties: { size: { default: 2 }, b: { default: 3 } } }] },
      {},
      { size: 1, b: 3 },
    ],
    ['of a property by all that holds', { properties: { a: { allOf: [{}, { default: 1 }] } } }, {}, { a: 1 }],
    [
      'in each item',
      { properties: { a: { items: box } } },
      { a: [{}, 1, { size: 2 }] },
      { a: [{ size: 1 }, 1, { size: 2 }] },
    ],
    [
      'in the first items, then in the rest',
      { properties: { a: { prefixItems: [{}, box], items: { properties: { b: { default: 2 } } } } } },
      { a: [{}, {}, {}] },
      { a: [{}, { size: 1 }, { b: 2 }] },
    ],
    [
      'not as items',
      { properties: { a: { prefixItems: [{ default: 1 }], items: { default: 1 } } } },
      { a: [] },
      { a: [] },
    ],
    [
      'in the first items, then in the rest, of draft-07',
      {
        $schema: DRAFT_07,
        definitions: { box },
        properties: {
          a: { items: [{}, { $ref: '#/definitions/box' }], additionalItems: { $ref: '#/definitions/box' } },
        },
      },
      { a: [{}, {}, {}] },
      { a: [{}, { size: 1 }, { size: 1 }] },
    ],
    [
      'not from beside a reference of draft-07',
      {
        $schema: DRAFT_07,
        definitions: { a: { default: 1 }, b: {} },
        properties: {
          a: { $ref: '#/definitions/a', default: 2 },
          b: { $ref: '#/definitions/b', default: 2 },
        },
      },
      {},
      { a: 1 },
    ],
    [
      'not under a condition',
      {
        anyOf: [box],
        oneOf: [box],
        not: box,
        if: box,
        // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
        then: box,
        else: box,
        properties: { a: { anyOf: [{ default: 1 }] } },
      },
      {},
      {},
    ],
    ['not into a value of another type', { properties: { a: box } }, { a: [] }, { a: [] }],
    ['not by what is no keyword', { property: { a: { default: 1 } } }, {}, {}],
  ];
  test.each(cases)('%s', (_, schema, value, filled) => {
    const before = structuredClone({ schema, value });
    compileSchema(schema);
    expect(JSON.stringify(applyDefaults(schema, value))).toBe(JSON.stringify(filled));
    // What is worked out about a schema is kept: the second time is the same.
    expect(JSON.stringify(applyDefaults(schema, value))).toBe(JSON.stringify(filled));
    expect({ schema, value }).toEqual(before);
  });

  test('as copies, so that nobody can change the schema', () => {
    const schema: JsonObject = { properties: { a: { default: { list: [{}] } } } };
    const before = structuredClone(schema);
    const filled = applyDefaults(schema, {}) as { a: { list: JsonObject[] } };
    Object.assign(filled.a.list[0] ?? {}, { changed: true });
    filled.a.list.push({});
    expect(schema).toEqual(before);
    expect(applyDefaults(schema, {})).toEqual({ a: { list: [{}] } });
  });

  test('into a value only where it misses something', () => {
    const schema: JsonObject = { properties: { a: box, b: box } };
    const full = { a: { size: 1 }, b: { size: 2 } };
    expect(applyDefaults(schema, full)).toBe(full);
    const half = { a: { size: 1 }, b: {} };
    expect(applyDefaults(schema, half).a).toBe(half.a);
  });
});

describe('names that objects inherit are ordinary names', () => {
  const names = ['__proto__', 'constructor', 'toString'];

  test('when they have defaults', () => {
    const properties = names.map((name) => `"${name}": {"default": {"polluted": true}}`);
    const schema = JSON.parse(`{"properties": {${properties.join()}}}`) as JsonObject;
    const filled = applyDefaults(schema, {});
    expect(Object.keys(filled)).toEqual(names);
    expect(Object.getPrototypeOf(filled)).toBe(Object.prototype);
    expect(({} as JsonObject).polluted).toBeUndefined();
  });

  test('when they are given, or inside a default', () => {
    const schema = JSON.parse('{"properties": {"a": {"default": {"__proto__": {"x": 1}}}}}') as JsonObject;
    const filled = applyDefaults(schema, JSON.parse('{"__proto__": {"y": 1}}') as JsonObject);
    expect(JSON.stringify(filled)).toBe('{"__proto__":{"y":1},"a":{"__proto__":{"x":1}}}');
    expect(Object.getPrototypeOf(filled)).toBe(Object.prototype);
  });

  test('when nothing has a default', () => {
    const schema: JsonObject = { properties: { constructor: {}, a: { default: 1 } } };
    expect(applyDefaults(schema, {})).toEqual({ a: 1 });
    expect(applyDefaults({}, {})).toEqual({});
  });
});

describe('what is too much ends soon', () => {
  const defs = (levels: number, level: (next: JsonObject) => JsonObject, last: JsonObject) =>
    Object.fromEntries(
      Array.from({ length: levels + 1 }, (_, index) => [
        `d${index}`,
        index === levels ? last : level({ $ref: `#/$defs/d${index + 1}` }),
      ]),
    );
  const empties = (size: number): JsonValue => Array.from({ length: size }, () => ({}));
  let deep: JsonObject = {};
  for (let depth = 0; depth < 100_000; depth++) deep = { a: deep };

  const cases: [name: string, schema: JsonObject, value: JsonObject][] = [
    ['a default of itself', { properties: { a: { $ref: '#', default: {} } } }, {}],
    [
      'a default of two of itself',
      { properties: { a: { $ref: '#', default: { a: {}, b: {} } }, b: { $ref: '#' } } },
      {},
    ],
    [
      'defaults that double',
      {
        $ref: '#/$defs/d0',
        $defs: defs(
          30,
          (next) => ({ properties: { a: { ...next, default: {} }, b: { ...next, default: {} } } }),
          {},
        ),
      },
      {},
    ],
    [
      'references that double',
      { $ref: '#/$defs/d0', $defs: defs(30, (next) => ({ allOf: [next, next] }), box) },
      {},
    ],
    [
      'a search for a default that doubles',
      { properties: { a: { $ref: '#/$defs/d0' } }, $defs: defs(30, (next) => ({ allOf: [next, next] }), {}) },
      {},
    ],
    [
      'a long text in many items',
      { properties: { a: { items: { properties: { text: { default: 'x'.repeat(100_000) } } } } } },
      { a: empties(1000) },
    ],
    [
      'many properties in many items',
      {
        properties: {
          a: {
            items: {
              properties: Object.fromEntries(
                Array.from({ length: 1000 }, (_, index) => [index, { default: 0 }]),
              ),
            },
          },
        },
      },
      { a: empties(1000) },
    ],
    [
      'a long list that is looked through many times',
      { properties: { a: { allOf: Array.from({ length: 2000 }, () => ({ items: box })) } } },
      { a: Array.from({ length: 100_000 }, (_, index) => index) },
    ],
    ['deep values', { properties: { a: { $ref: '#' } } }, deep],
  ];
  test.each(cases)('%s', (_, schema, value) => {
    compileSchema(schema);
    expect(() => applyDefaults(schema, value)).toThrow(TooManyDefaults);
    const milliseconds = fastest(() => expect(() => applyDefaults(schema, value)).toThrow(TooManyDefaults));
    expect(milliseconds).toBeLessThan(LIMIT);
  });

  test('and what is large is not too much', () => {
    const schema: JsonObject = { properties: { a: { items: box }, b: { items: { type: 'number' } } } };
    const value = { a: empties(5000), b: Array.from({ length: 100_000 }, (_, index) => index) };
    const filled = applyDefaults(schema, value) as { a: JsonValue[]; b: JsonValue[] };
    expect(filled.a.at(-1)).toEqual({ size: 1 });
    expect(filled.b).toBe(value.b);
  });
});

import { describe, expect, test } from 'vitest';
import type { JsonValue } from '../json.ts';
import { compileSchema, describeFault, SchemaError } from './compile-schema.ts';

function faultsOf(schema: JsonValue, instance: unknown): string[] {
  return compileSchema(schema).validate(instance).map(describeFault);
}

describe('faults are told in words that a model can act on', () => {
  const weather = {
    type: 'object',
    properties: {
      location: { type: 'string', minLength: 2 },
      unit: { enum: ['celsius', 'fahrenheit'] },
      days: { type: 'integer', minimum: 1, maximum: 14 },
    },
    required: ['location'],
    additionalProperties: false,
  };
  const circle = {
    type: 'object',
    properties: { kind: { const: 'circle' }, radius: { type: 'number' } },
    required: ['radius'],
  };
  const square = {
    type: 'object',
    properties: { kind: { const: 'square' }, side: { type: 'number' } },
    required: ['side'],
  };
  const cases: [schema: JsonValue, instance: JsonValue, ...faults: string[]][] = [
    [weather, { location: 'Rome', days: 3 }],
    [weather, {}, '/location: expected a string, got nothing'],
    [weather, { location: 7 }, '/location: expected a string, got the number 7'],
    [weather, 'Rome', '(top level): expected an object, got the string "Rome"'],
    [
      weather,
      { location: 'Rome', unit: 'kelvin', days: 0 },
      '/unit: expected one of "celsius", "fahrenheit", got the string "kelvin"',
      '/days: expected a number of at least 1, got the number 0',
    ],
    [
      weather,
      { location: 'Rome', city: [1, 2] },
      '/city: expected no such argument (known: location, unit, days), got an array of 2 items',
    ],
    [{ type: ['string', 'null'] }, 1, '(top level): expected a string or null, got the number 1'],
    [
      { anyOf: [{ type: 'string' }, { type: 'null' }] },
      1,
      '(top level): expected a string or null, got the number 1',
    ],
    [
      { anyOf: [{ type: 'string', minLength: 2 }, { type: 'null' }] },
      'a',
      '(top level): expected a string of at least 2 characters, got a string of 1 character',
    ],
    [
      { anyOf: [{ const: 'a' }, { enum: ['b', 3] }] },
      'c',
      '(top level): expected one of "a", "b", 3, got the string "c"',
    ],
    [{ anyOf: [circle, square] }, { kind: 'square' }, '/side: expected a number, got nothing'],
    [
      { anyOf: [circle, square] },
      {},
      '(top level): expected a value that matches at least one of 2 alternatives, got an object',
    ],
    [
      { oneOf: [{ type: 'integer' }, { minimum: 3 }] },
      5,
      '(top level): expected a value that matches exactly one of 2 alternatives, got the number 5, which matches several',
    ],
    [{ not: { type: 'null' } }, null, '(top level): expected anything but null, got null'],
    [
      { items: { type: 'integer' } },
      [1, 'a', 2.5],
      '/1: expected an integer, got the string "a"',
      '/2: expected an integer, got the number 2.5',
    ],
    [
      { contains: { const: 1 } },
      [2],
      '(top level): expected an array with at least 1 of this kind: 1, got an array with 0',
    ],
    [
      { dependentRequired: { a: ['b'] } },
      { a: 1 },
      '/b: expected a value, because "a" is given, got nothing',
    ],
    [
      { pattern: '^[A-Z]{3}$' },
      'eur',
      '(top level): expected a string that matches the pattern ^[A-Z]{3}$, got the string "eur"',
    ],
    [{ format: 'date' }, 'soon', '(top level): expected a date such as "2024-05-31", got the string "soon"'],
    [
      { uniqueItems: true },
      [1, 2, 1],
      '(top level): expected items that all differ, got an item, number 2, that is there twice',
    ],
    [
      { propertyNames: { enum: ['a'] } },
      { b: true },
      '/b: expected no property of this name (a name must be "a"), got true',
    ],
    [{ properties: { 'a/b~': { const: null } } }, { 'a/b~': 1 }, '/a~1b~0: expected null, got the number 1'],
  ];
  test.each(cases)('%j %j', (schema, instance, ...faults) => {
    expect(faultsOf(schema, instance)).toEqual(faults);
  });

  test('no more than ten, and little of the instance', () => {
    const instance = Object.fromEntries(
      Array.from({ length: 50 }, (_, index) => [`k${index}`.repeat(99), 'v'.repeat(999)]),
    );
    const faults = compileSchema({ additionalProperties: { type: 'null' } }).validate(instance);
    expect(faults).toHaveLength(10);
    for (const fault of faults) {
      expect(fault.pointer.length).toBeLessThanOrEqual(61);
      expect(fault.actual.length).toBeLessThanOrEqual(80);
    }
  });
});

describe('a schema that can not be used is refused at its place', () => {
  const cases: [schema: JsonValue, pointer: string, message: RegExp][] = [
    [null, '', /expected a schema/],
    [{ type: 'dict' }, '/type', /expected a type \(array, boolean.*got the string "dict"/],
    [{ properties: { a: { type: ['string', 'string'] } } }, '/properties/a/type', /all differ/],
    [{ required: 'a' }, '/required', /array of strings/],
    [{ minimum: '1' }, '/minimum', /a number/],
    [{ multipleOf: 0 }, '/multipleOf', /greater than 0/],
    [{ maxLength: -1 }, '/maxLength', /at least 0/],
    [{ allOf: [] }, '/allOf', /at least one schema/],
    [{ items: [{}] }, '/items', /expected a schema/],
    [{ properties: { 'a/b': 'string' } }, '/properties/a~1b', /expected a schema/],
    [{ pattern: '(' }, '/pattern', /Unterminated group/],
    [{ pattern: '(a)\\1' }, '/pattern', /refers back to a group/],
    [{ $schema: 'http://attacker.example/meta' }, '/$schema', /2020-12 or draft-07/],
    [{ not: { $ref: 'http://169.254.169.254/' } }, '/not/$ref', /nothing is fetched/],
    [{ $ref: '#/$defs/a' }, '/$ref', /does not lead to a schema/],
    [{ $ref: '#a' }, '/$ref', /anchor/],
    [{ $defs: { a: { $id: 'x' }, b: { $id: 'x' } } }, '/$defs/b/$id', /also the \$id of "\/\$defs\/a"/],
    [{ $defs: { a: { $anchor: 'x' }, b: { $anchor: 'x' } } }, '/$defs/b/$anchor', /also an anchor/],
    [{ $defs: { a: { $schema: 'http://json-schema.org/draft-07/schema#' } } }, '/$defs/a/$schema', /dialect/],
  ];
  test.each(cases)('%j', (schema, pointer, message) => {
    const compile = () => compileSchema(schema);
    expect(compile).toThrow(SchemaError);
    expect(compile).toThrow(expect.objectContaining({ pointer, message: expect.stringMatching(message) }));
  });
});

describe('both dialects', () => {
  const draft07 = 'http://json-schema.org/draft-07/schema#';

  test('draft-07 is chosen by $schema', () => {
    const tuple = { $schema: draft07, items: [{ type: 'string' }], additionalItems: false };
    expect(faultsOf(tuple, ['a'])).toEqual([]);
    expect(faultsOf(tuple, ['a', 'b'])).toEqual(['/1: expected no value here, got the string "b"']);
  });

  test('draft-07 ignores what stands beside $ref', () => {
    const schema = { definitions: { a: {} }, properties: { a: { $ref: '#/definitions/a', type: 'null' } } };
    expect(faultsOf({ $schema: draft07, ...schema }, { a: 1 })).toEqual([]);
    expect(faultsOf(schema, { a: 1 })).toHaveLength(1);
  });

  test('a schema may ask for a schema', () => {
    const schema = { $ref: 'https://json-schema.org/draft/2020-12/schema' };
    expect(faultsOf(schema, { properties: { a: { type: 'string' } } })).toEqual([]);
    expect(faultsOf(schema, { properties: { a: { type: 'text' } } })).not.toEqual([]);
  });

  test('formats are notes if that is asked for', () => {
    expect(compileSchema({ format: 'ipv4' }, { assertFormats: false }).validate('x')).toEqual([]);
    expect(compileSchema({ format: 'ipv4' }).validate('x')).toHaveLength(1);
  });

  test('the dynamic scope chooses where $dynamicRef leads', () => {
    const schema = {
      $id: 'https://example.com/strings',
      $ref: 'list',
      $defs: {
        strings: { $dynamicAnchor: 'item', type: 'string' },
        list: { $id: 'list', items: { $dynamicRef: '#item' }, $defs: { any: { $dynamicAnchor: 'item' } } },
      },
    };
    expect(faultsOf(schema, ['a', 1])).toEqual(['/1: expected a string, got the number 1']);
  });

  test('unevaluated members are those that no schema around has judged', () => {
    const schema = { allOf: [{ properties: { a: {} } }], unevaluatedProperties: false };
    expect(faultsOf(schema, { a: 1 })).toEqual([]);
    expect(faultsOf(schema, { a: 1, b: 2 })).toEqual(['/b: expected no such argument, got the number 2']);
  });
});

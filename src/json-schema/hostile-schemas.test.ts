import { describe, expect, test } from 'vitest';
import type { JsonValue } from '../json.ts';
import { compileSchema, SchemaError } from './compile-schema.ts';
import { fastest } from './data-for-tests.ts';
import { schemaLimits } from './limits.ts';

/** Milliseconds of one validation. Tens are usual; the rest is for a machine with other work. */
const LIMIT = 200;

function nested(depth: number, leaf: JsonValue, around: (inner: JsonValue) => JsonValue): JsonValue {
  let value = leaf;
  for (let level = 0; level < depth; level++) value = around(value);
  return value;
}

function range<T>(size: number, item: (index: number) => T): T[] {
  return Array.from({ length: size }, (_, index) => item(index));
}

function pointerOfRefusal(schema: JsonValue): string | undefined {
  try {
    compileSchema(schema);
    return undefined;
  } catch (error) {
    return error instanceof SchemaError ? error.pointer : undefined;
  }
}

const deepArray = nested(100_000, 0, (inner) => [inner]);
const deepObject = nested(60, 1, (inner) => ({ a: inner }));

describe('a hostile instance or schema gets its answer in time', () => {
  const doubled = { properties: { a: { anyOf: [{ $ref: '#' }, { $ref: '#' }] } } };
  const cases: [name: string, schema: JsonValue, instance: JsonValue, valid: boolean][] = [
    ['doubling that ends well', doubled, deepObject, true],
    ['doubling that ends badly', { type: 'object', ...doubled }, deepObject, false],
    [
      'doubling under oneOf',
      { properties: { a: { oneOf: [{ $ref: '#' }, { $ref: '#' }] } } },
      deepObject,
      false,
    ],
    ['doubling with annotations', { ...doubled, unevaluatedProperties: false }, deepObject, true],
    ['a dynamic reference to itself', { $dynamicAnchor: 'a', $dynamicRef: '#a' }, 1, false],
    ['deep arrays', { items: { $ref: '#' } }, deepArray, false],
    ['deep arrays under many schemas', { items: { anyOf: [{ allOf: [{ $ref: '#' }] }] } }, deepArray, false],
    ['deep arrays that are compared', { uniqueItems: true }, [deepArray, deepArray], false],
    ['deep arrays against const', { const: [[1]] }, deepArray, false],
    ['deep arrays that nothing asks about', { type: 'array', items: {} }, deepArray, true],
    ['100,000 different numbers', { uniqueItems: true }, range(100_000, (index) => index), true],
    ['100,000 objects', { uniqueItems: true }, range(100_000, (index) => ({ index })), false],
    ['2,000 objects', { uniqueItems: true }, range(2_000, (index) => ({ index })), true],
    [
      'a large enum',
      { items: { enum: range(9_000, (index) => [index]) } },
      range(100_000, () => ['x']),
      false,
    ],
    ['a large const', { const: range(15_000, (index) => index) }, range(15_000, (index) => index), true],
    ['a tiny divisor', { items: { multipleOf: 1e-300 } }, range(1_000, () => 1e308), true],
    [
      'the tiniest divisor',
      { items: { multipleOf: 5e-324 } },
      range(100_000, () => 1.7976931348623157e308),
      false,
    ],
    ['a long string', { maxLength: 300_000 }, '🐲'.repeat(300_000), true],
    ['a very long string', { maxLength: 10 }, 'a'.repeat(10_000_000), false],
    ['a search for what is not there', { pattern: '^(a|a|aa)+$' }, `${'a'.repeat(100_000)}!`, false],
    [
      'many required names',
      { items: { required: range(15_000, String) } },
      range(100_000, () => ({})),
      false,
    ],
    ['many wrong items', { items: { type: 'string' } }, range(100_000, (index) => index), false],
  ];
  test.each(cases)('%s', (_, schema, instance, valid) => {
    const compiled = compileSchema(schema);
    expect(compiled.validate(instance).length === 0).toBe(valid);
    expect(fastest(() => compiled.validate(instance))).toBeLessThan(LIMIT);
  });

  test('every format takes time in proportion to the text', () => {
    const formats = [
      'date',
      'date-time',
      'time',
      'duration',
      'email',
      'idn-email',
      'hostname',
      'idn-hostname',
    ];
    formats.push(
      'ipv4',
      'ipv6',
      'uri',
      'uri-reference',
      'iri',
      'iri-reference',
      'uri-template',
      'uuid',
      'regex',
    );
    formats.push('json-pointer', 'relative-json-pointer');
    for (const format of formats) {
      const compiled = compileSchema({ format });
      for (const pump of ['a', '1', '%', '{', '"', '"\\', 'a.', '::', '/~0', 'P1Y', '(', '[', '{a}']) {
        const text = pump.repeat(200_000 / pump.length);
        expect(fastest(() => compiled.validate(text))).toBeLessThan(LIMIT);
      }
    }
  });

  test('an instance that takes too long is told so', () => {
    expect(compileSchema({ items: { $ref: '#' } }).validate(deepArray)).toEqual([
      {
        pointer: '',
        expected: 'a value that can be checked within the limits',
        actual: 'one that is too large or too deeply nested, so that the check took too long',
      },
    ]);
  });
});

describe('a schema beyond a limit is refused at its place', () => {
  const tooMany = (amount: number) => range(amount + 1, (index) => ({ const: index }));
  const cases: [name: string, schema: JsonValue, pointer: string][] = [
    ['nesting', nested(100_000, {}, (inner) => ({ not: inner })), ''],
    ['values', { enum: range(schemaLimits.values, (index) => index) }, ''],
    ['subschemas', { anyOf: tooMany(schemaLimits.subschemas) }, `/anyOf/${schemaLimits.subschemas - 1}`],
    [
      'references',
      { $defs: { a: {} }, allOf: range(schemaLimits.references + 1, () => ({ $ref: '#/$defs/a' })) },
      `/allOf/${schemaLimits.references}/$ref`,
    ],
    ['identifiers', { $id: 'a'.repeat(schemaLimits.identifierLength + 1) }, '/$id'],
    ['itself', { $ref: '#' }, ''],
    ['itself in a list', { anyOf: [{ type: 'null' }, { $ref: '#' }] }, ''],
    [
      'nested repetitions',
      { properties: { a: { pattern: '((a{1,1000}){1,1000}){1,1000}' } } },
      '/properties/a/pattern',
    ],
    ['nested groups', { pattern: '('.repeat(100) + ')'.repeat(100) }, '/pattern'],
    ['long patterns', { pattern: 'a'.repeat(schemaLimits.patternLength + 1) }, '/pattern'],
    ['backreferences', { patternProperties: { '(a)\\1': true } }, '/patternProperties/(a)\\1'],
    [
      'patterns together',
      { allOf: range(6, (index) => ({ pattern: `^[a-z]{0,${9_990 + index}}$` })) },
      '/allOf/5/pattern',
    ],
  ];
  test.each(cases)('%s', (_, schema, pointer) => {
    expect(pointerOfRefusal(schema)).toBe(pointer);
  });

  test('what is just within the limits is answered in time', () => {
    const schema = { anyOf: range(schemaLimits.subschemas - 1, (index) => ({ const: index })) };
    expect(fastest(() => compileSchema(schema).validate('x'))).toBeLessThan(LIMIT);
  });
});

describe('names that objects inherit are ordinary names', () => {
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf'];

  test('when they are required', () => {
    const compiled = compileSchema({ required: names });
    expect(compiled.validate({}).map(({ pointer }) => pointer)).toEqual(names.map((name) => `/${name}`));
    expect(compiled.validate(JSON.parse(`{${names.map((name) => `"${name}": 1`).join()}}`))).toEqual([]);
  });

  test('when they are described', () => {
    const properties = JSON.parse(`{${names.map((name) => `"${name}": {"type": "string"}`).join()}}`);
    const compiled = compileSchema({ properties, additionalProperties: false });
    expect(compiled.validate({})).toEqual([]);
    expect(compiled.validate(JSON.parse('{"__proto__": 1, "constructor": 1}'))).toHaveLength(2);
  });

  test('when they are not', () => {
    const compiled = compileSchema({ additionalProperties: false, dependentRequired: { toString: ['a'] } });
    expect(compiled.validate({})).toEqual([]);
    expect(compiled.validate(JSON.parse('{"__proto__": 1}'))).toHaveLength(1);
  });

  test('when they are where a reference leads', () => {
    expect(pointerOfRefusal({ $ref: '#/constructor' })).toBe('/$ref');
    expect(pointerOfRefusal({ $ref: '#constructor' })).toBe('/$ref');
  });
});

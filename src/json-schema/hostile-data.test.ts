import { describe, expect } from 'vitest';
import type { JsonValue } from '../json.ts';
import { readDataJson } from '../testing/tool-data.ts';
import { compileSchema, SchemaError } from './compile-schema.ts';
import { dataNote, fastest, testWithData } from './data-for-tests.ts';

/** Milliseconds in which each hostile schema must be refused, or answered. */
const LIMIT = 200;

interface Bombs {
  literal: { name: string; schema: JsonValue }[];
  generated: { name: string; N: number[] }[];
}

interface SlowPattern {
  id: string;
  pattern: string;
  prefix: string;
  pump: string;
  suffix: string;
}

const INSTANCES: JsonValue[] = [null, 1, 'text', [1, 'a'], { a: { a: 1 }, constructor: 1 }];

function objectOf(size: number, member: (index: number) => [string, JsonValue]): JsonValue {
  return Object.fromEntries(Array.from({ length: size }, (_, index) => member(index)));
}

/** The schemas that the data describes in words. */
const GENERATORS: Record<string, (size: number) => JsonValue> = {
  'deep-properties': (size) => {
    let schema: JsonValue = {};
    for (let depth = 0; depth < size; depth++) schema = { properties: { a: schema } };
    return schema;
  },
  'anyOf-exponential': (size) => ({
    $ref: '#/$defs/d0',
    $defs: objectOf(size + 1, (index) => {
      const next = { $ref: `#/$defs/d${index + 1}` };
      return [`d${index}`, index === size ? false : { anyOf: [next, next] }];
    }),
  }),
  'wide-properties': (size) => ({ properties: objectOf(size, (index) => [`p${index}`, { type: 'string' }]) }),
  'long-ref-chain': (size) => ({
    $ref: '#/$defs/d0',
    $defs: objectOf(size + 1, (index) => [
      `d${index}`,
      index === size ? {} : { $ref: `#/$defs/d${index + 1}` },
    ]),
  }),
  'many-patterns': (size) => ({ patternProperties: objectOf(size, (index) => [`^p${index}.*$`, {}]) }),
  'enum-large': (size) => ({ enum: Array.from({ length: size }, (_, index) => ({ index })) }),
};

function answer(schema: JsonValue, instances: readonly JsonValue[]): void {
  try {
    const compiled = compileSchema(schema);
    for (const instance of instances) compiled.validate(instance);
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
  }
}

describe(`published attacks${dataNote}`, () => {
  testWithData('schemas are refused or answered in time', () => {
    const { literal, generated } = readDataJson<Bombs>('security/schema-bombs.json');
    const schemas = literal.flatMap(({ name, schema }) => (schema === undefined ? [] : [{ name, schema }]));
    for (const { name, N } of [...generated, { name: 'enum-large', N: [100_000] }]) {
      const generate = GENERATORS[name];
      if (generate === undefined) throw new Error(`no generator for ${name}`);
      for (const size of N) schemas.push({ name: `${name} ${size}`, schema: generate(size) });
    }
    const slow = schemas.filter(({ schema }) => fastest(() => answer(schema, INSTANCES)) > LIMIT);
    expect(slow.map(({ name }) => name)).toEqual([]);
  });

  testWithData('patterns are refused or answered in time', () => {
    const patterns = readDataJson<SlowPattern[]>('security/redos-patterns.json');
    const slow = patterns.filter(({ pattern, prefix, pump, suffix }) => {
      const texts = [40, 20_000, 1_000_000].map((times) => prefix + pump.repeat(times) + suffix);
      return texts.some((text) => fastest(() => answer({ pattern }, [text])) > LIMIT);
    });
    expect(slow.map(({ id }) => id)).toEqual([]);
  });
});

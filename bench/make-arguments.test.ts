import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../src/json.ts';
import { compileSchema, describeFault } from '../src/json-schema/compile-schema.ts';
import { corpusTools } from './examples.ts';
import { createRandom, makeArguments } from './make-arguments.ts';

function faultsOf(parameters: JsonObject, seed: number): string[] {
  const made = makeArguments(parameters, createRandom(seed));
  return compileSchema(parameters).validate(made).map(describeFault);
}

const seeds = Array.from({ length: 20 }, (_, index) => index);

test.each(corpusTools())('arguments for $name fit its schema', ({ parameters }) => {
  for (const seed of seeds) expect(faultsOf(parameters, seed)).toEqual([]);
});

describe('what schemas may ask', () => {
  const property = (schema: JsonObject): JsonObject => ({
    type: 'object',
    properties: { value: schema },
    required: ['value'],
    additionalProperties: false,
  });

  test.each<JsonObject>([
    { type: 'integer', minimum: 3, maximum: 4 },
    { type: 'integer', exclusiveMinimum: 3, exclusiveMaximum: 5 },
    { type: 'number', minimum: 0, maximum: 1 },
    { type: 'string', minLength: 12 },
    { type: 'string', maxLength: 2 },
    { type: 'array', items: { type: 'integer' }, minItems: 2, maxItems: 3 },
    { type: 'array' },
    { type: ['string', 'null'] },
    { enum: ['a', 1, null] },
    { const: 7 },
    {},
    { type: 'object', properties: { inner: { type: 'boolean' } }, required: ['inner'] },
  ])('%j', (schema) => {
    for (const seed of seeds) expect(faultsOf(property(schema), seed)).toEqual([]);
  });
});

test('what nothing fits is left out, or refused where it is required', () => {
  const parameters: JsonObject = { type: 'object', properties: { status: { type: 'string', enum: [0, 1] } } };
  for (const seed of seeds) expect(makeArguments(parameters, createRandom(seed))).toEqual({});
  expect(() => makeArguments({ ...parameters, required: ['status'] }, createRandom(1))).toThrow('status');
});

test('the same seed makes the same arguments, another one others', () => {
  const parameters: JsonObject = {
    type: 'object',
    properties: { page: { type: 'integer' }, query: { type: 'string' } },
    required: ['page', 'query'],
  };
  const make = (seed: number) => JSON.stringify(makeArguments(parameters, createRandom(seed)));
  expect(make(1)).toBe(make(1));
  expect(new Set(seeds.map(make)).size).toBeGreaterThan(10);
});

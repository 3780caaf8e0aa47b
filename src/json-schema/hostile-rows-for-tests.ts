import type { JsonValue } from '../json.ts';
import { readDataJson } from '../testing/tool-data.ts';

/** A published attack: a schema, and what to check with it where it is taken. */
export interface Row {
  readonly name: string;
  readonly schema: JsonValue;
  readonly instances: readonly JsonValue[];
}

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

const next = (index: number): JsonValue => ({ $ref: `#/$defs/d${index + 1}` });

/** The schemas that the data describes in words. */
const GENERATORS: Record<string, (size: number) => JsonValue> = {
  'deep-properties': (size) => {
    let schema: JsonValue = {};
    for (let depth = 0; depth < size; depth++) schema = { properties: { a: schema } };
    return schema;
  },
  'anyOf-exponential': (size) => ({
    $ref: '#/$defs/d0',
    $defs: objectOf(size + 1, (index) => [
      `d${index}`,
      index === size ? false : { anyOf: [next(index), next(index)] },
    ]),
  }),
  'wide-properties': (size) => ({ properties: objectOf(size, (index) => [`p${index}`, { type: 'string' }]) }),
  'long-ref-chain': (size) => ({
    $ref: '#/$defs/d0',
    $defs: objectOf(size + 1, (index) => [`d${index}`, index === size ? {} : next(index)]),
  }),
  'many-patterns': (size) => ({ patternProperties: objectOf(size, (index) => [`^p${index}.*$`, {}]) }),
  'enum-large': (size) => ({ enum: Array.from({ length: size }, (_, index) => ({ index })) }),
};

/** Schemas that hang or overflow a validator. */
export function bombs(): Row[] {
  const { literal, generated } = readDataJson<Bombs>('security/schema-bombs.json');
  const written = literal.filter(({ schema }) => schema !== undefined);
  const described = [...generated, { name: 'enum-large', N: [100_000] }].flatMap(({ name, N }) =>
    N.map((size) => {
      const generate = GENERATORS[name];
      if (generate === undefined) throw new Error(`no generator for ${name}`);
      return { name: `${name} ${size}`, schema: generate(size) };
    }),
  );
  return [...written, ...described].map((row) => ({ ...row, instances: INSTANCES }));
}

/** Patterns that hang an engine which backtracks, each with a short, a long and a very long text. */
export function slowPatterns(): Row[] {
  return readDataJson<SlowPattern[]>('security/redos-patterns.json').flatMap(
    ({ id, pattern, prefix, pump, suffix }) =>
      [40, 20_000, 1_000_000].map((times) => ({
        name: `${id} with ${times}`,
        schema: { pattern },
        instances: [prefix + pump.repeat(times) + suffix],
      })),
  );
}

import type { JsonValue } from '../json.ts';
import { isJsonObject } from '../json.ts';
import type { Shape } from './dialects.ts';
import { escapeToken } from './json-pointer.ts';
import { schemaLimits } from './limits.ts';
import { SchemaError } from './schema-error.ts';
import { describe, list } from './words.ts';

const TYPES = ['array', 'boolean', 'integer', 'null', 'number', 'object', 'string'];

type Visit = (subschema: JsonValue, pointer: string) => void;

type CheckValue = (value: JsonValue, pointer: string, visit: Visit) => void;

const CHECKS: Record<Shape, CheckValue> = {
  any: () => {},
  anchor: (value, pointer) => {
    identifier(value, pointer);
    expect(/^[A-Za-z_][-A-Za-z0-9._]*$/.test(String(value)), 'a name such as "node"', value, pointer);
  },
  boolean: (value, pointer) => expect(typeof value === 'boolean', 'true or false', value, pointer),
  booleans: (value, pointer) =>
    eachMember(value, pointer, (member, at) => CHECKS.boolean(member, at, () => {})),
  count: (value, pointer) =>
    expect(Number.isInteger(value) && Number(value) >= 0, 'an integer of at least 0', value, pointer),
  dependencies: (value, pointer, visit) =>
    eachMember(value, pointer, (member, at) =>
      Array.isArray(member) ? strings(member, at) : visit(member, at),
    ),
  identifier,
  list: (value, pointer) => expect(Array.isArray(value), 'an array', value, pointer),
  number: (value, pointer) => expect(Number.isFinite(value), 'a number', value, pointer),
  positive: (value, pointer) =>
    expect(Number.isFinite(value) && Number(value) > 0, 'a number greater than 0', value, pointer),
  reference: identifier,
  'resource-identifier': (value, pointer) => {
    identifier(value, pointer);
    expect(/^[^#]*#?$/.test(String(value)), 'a URI without a fragment', value, pointer);
  },
  schema: (value, pointer, visit) => visit(value, pointer),
  'schema-map': eachMember,
  'schema-or-schemas': (value, pointer, visit) =>
    Array.isArray(value) ? schemas(value, pointer, visit) : visit(value, pointer),
  schemas,
  string: (value, pointer) => expect(typeof value === 'string', 'a string', value, pointer),
  'string-lists': (value, pointer) => eachMember(value, pointer, strings),
  strings,
  types,
};

/**
 * Checks a keyword's value as the meta-schema would, and shows each schema inside it to `visit`.
 * Throws SchemaError where the value has another form.
 */
export function checkShape(shape: Shape, value: JsonValue, pointer: string, visit: Visit): void {
  CHECKS[shape](value, pointer, visit);
}

function expect(holds: boolean, expected: string, value: JsonValue, pointer: string): void {
  if (!holds) throw new SchemaError(pointer, `expected ${expected}, got ${describe(value)}`);
}

function schemas(value: JsonValue, pointer: string, visit: Visit): void {
  if (!Array.isArray(value) || value.length === 0) {
    throw new SchemaError(pointer, `expected an array of at least one schema, got ${describe(value)}`);
  }
  for (const [index, item] of value.entries()) visit(item, `${pointer}/${index}`);
}

function eachMember(value: JsonValue, pointer: string, visit: Visit): void {
  if (!isJsonObject(value)) throw new SchemaError(pointer, `expected an object, got ${describe(value)}`);
  for (const [key, member] of Object.entries(value)) visit(member, `${pointer}/${escapeToken(key)}`);
}

function strings(value: JsonValue, pointer: string): void {
  const valid = Array.isArray(value) && value.every((item) => typeof item === 'string');
  expect(valid, 'an array of strings', value, pointer);
  if (Array.isArray(value) && new Set(value).size < value.length) {
    throw new SchemaError(pointer, 'expected strings that all differ, but some are equal');
  }
}

function types(value: JsonValue, pointer: string): void {
  const names = Array.isArray(value) ? value : [value];
  for (const name of names) {
    expect(typeof name === 'string' && TYPES.includes(name), `a type (${list(TYPES)})`, name, pointer);
  }
  const valid = names.length > 0 && new Set(names).size === names.length;
  expect(valid, 'types that are not empty and all differ', value, pointer);
}

function identifier(value: JsonValue, pointer: string): void {
  expect(typeof value === 'string', 'a URI reference', value, pointer);
  if (String(value).length > schemaLimits.identifierLength) {
    throw new SchemaError(pointer, `is longer than ${schemaLimits.identifierLength} characters`);
  }
}

import { getOwn, isJsonObject, type JsonObject, type JsonValue, jsonTypeOf } from '../src/json.ts';

/** Draws whole numbers: the same ones in the same order for the same seed, so that a failure can be repeated. */
export interface Random {
  /** From 0 to `bound - 1`. */
  below(bound: number): number;
}

/** A small generator of numbers that look random (mulberry32). */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return {
    below(bound) {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000) * bound);
    },
  };
}

const WORDS = ['heat', 'Amélie', '千と千尋', 'low & slow', 'it’s "quoted"', 'tab\there', '🎬', ' '];
const NUMBERS = [0.5, -1.25, 3, 1e-7, 6.02e23];

/** Schemas inside schemas that are followed before the rest is left out. */
const MAX_DEPTH = 8;

/**
 * Makes arguments that fit the parameters of a tool. Knows the part of JSON Schema that descriptions of APIs are made
 * of: types, `enum`, `const`, `properties`, `required`, `items`, and bounds of numbers, texts and lists. What is not
 * required is there about every second time.
 */
export function makeArguments(parameters: JsonObject, random: Random): JsonObject {
  return makeObject(parameters, random, 0);
}

function makeObject(schema: JsonObject, random: Random, depth: number): JsonObject {
  const properties = getOwn(schema, 'properties');
  const required = getOwn(schema, 'required');
  const made: JsonObject = {};
  for (const [key, property] of Object.entries(isJsonObject(properties) ? properties : {})) {
    const isRequired = Array.isArray(required) && required.includes(key);
    if (!isRequired && (depth >= MAX_DEPTH || random.below(2) === 0)) continue;
    const value = makeValue(property, random, depth + 1);
    if (value !== undefined) made[key] = value;
    else if (isRequired) throw new Error(`no value fits the required property ${key}`);
  }
  return made;
}

/** Undefined when no value fits: published descriptions have texts of which only numbers are allowed. */
function makeValue(schema: JsonValue, random: Random, depth: number): JsonValue | undefined {
  if (!isJsonObject(schema)) return pick(WORDS, random);
  if (Object.hasOwn(schema, 'const')) return schema.const ?? null;
  const choices = getOwn(schema, 'enum');
  const types = [getOwn(schema, 'type') ?? []].flat();
  if (Array.isArray(choices)) {
    const fitting = choices.filter(
      (choice) => types.length === 0 || types.some((type) => isOf(type, choice)),
    );
    return fitting.length === 0 ? undefined : pick(fitting, random);
  }
  switch (types.length === 0 ? undefined : pick(types, random)) {
    case 'object':
      return makeObject(schema, random, depth);
    case 'array':
      return makeArray(schema, random, depth);
    case 'integer':
      return makeInteger(schema, random);
    case 'number':
      return makeNumber(schema, random);
    case 'boolean':
      return random.below(2) === 0;
    case 'null':
      return null;
    case 'string':
    case undefined:
      return makeString(schema, random);
    default:
      return undefined;
  }
}

function makeArray(schema: JsonObject, random: Random, depth: number): JsonValue[] {
  const least = numberOf(schema, 'minItems') ?? 0;
  const most = numberOf(schema, 'maxItems') ?? least + 3;
  const length = depth < MAX_DEPTH ? least + random.below(most - least + 1) : least;
  const items = getOwn(schema, 'items') ?? {};
  return Array.from({ length }, () => makeValue(items, random, depth + 1)).filter(
    (item) => item !== undefined,
  );
}

function isOf(type: JsonValue, value: JsonValue): boolean {
  return type === 'integer' ? Number.isInteger(value) : type === jsonTypeOf(value);
}

function makeInteger(schema: JsonObject, random: Random): number {
  const least = Math.ceil(numberOf(schema, 'minimum') ?? (numberOf(schema, 'exclusiveMinimum') ?? -1) + 1);
  const most = Math.floor(
    numberOf(schema, 'maximum') ?? (numberOf(schema, 'exclusiveMaximum') ?? least + 1000) - 1,
  );
  return least + random.below(most - least + 1);
}

function makeNumber(schema: JsonObject, random: Random): number {
  const isBounded = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'].some((key) =>
    Object.hasOwn(schema, key),
  );
  return isBounded ? makeInteger(schema, random) : pick(NUMBERS, random);
}

/** Lengths count code points, as JSON Schema's do. */
function makeString(schema: JsonObject, random: Random): string {
  const least = numberOf(schema, 'minLength') ?? 0;
  const most = numberOf(schema, 'maxLength') ?? Number.POSITIVE_INFINITY;
  const points = [...pick(WORDS, random)];
  while (points.length < least) points.push('x');
  return points.slice(0, most).join('');
}

function numberOf(schema: JsonObject, key: string): number | undefined {
  const value = getOwn(schema, key);
  return typeof value === 'number' ? value : undefined;
}

function pick<T>(choices: readonly T[], random: Random): T {
  if (choices.length === 0) throw new Error('there is nothing to choose from');
  return choices[random.below(choices.length)] as T;
}

import type { JsonObject, JsonValue } from '../json.ts';
import { getOwn, isJsonObject } from '../json.ts';
import { dialectOf, draft202012 } from './dialects.ts';
import type { SchemaIndex } from './index-schema.ts';
import { addDocument, isReferenceAlone } from './index-schema.ts';
import { metaSchemas } from './meta-schemas/meta-schemas.ts';
import { resolveReferences } from './resolve-references.ts';
import type { SchemaNode } from './schema-node.ts';

/** Properties looked for, and values made, for one instance; eight characters of a string count as one. */
const MAX_STEPS = 50_000;

/** Schemas and values one inside the other. */
const MAX_DEPTH = 500;

/** The defaults of a schema come to more than can be filled in: they contain themselves, or multiply. */
export class TooManyDefaults extends Error {
  override readonly name = 'TooManyDefaults';
}

/** The state of one filling-in. */
interface Filling {
  readonly nodes: SchemaIndex['nodes'];
  /** The objects and lists of the result that are ours to change. */
  readonly copies: Set<JsonValue>;
  steps: number;
}

/** What is known of schemas whose defaults were asked for, as long as these live. */
const indexes = new WeakMap<JsonObject, SchemaIndex>();

/**
 * Fills in the `default` of properties that are not there: of the schema's `properties`, in objects and lists inside
 * one another, of what `allOf` and `$ref` add, and in defaults themselves. A schema's own default goes before that of
 * its `$ref`, and this before those of `allOf`. What holds only under a condition (`anyOf`, `if` and the like) fills in
 * nothing, and lists get no further items.
 *
 * @param schema one that `compileSchema` takes. What is worked out about it is kept, so it must not change.
 * @returns the value itself where nothing is missing; else a copy that shares nothing with the schema.
 * @throws TooManyDefaults when filling in takes too long (about 10 ms), nests too deeply or makes too
 *   much (about 400,000 characters).
 */
export function applyDefaults(schema: JsonObject, value: JsonObject): JsonObject {
  const filling: Filling = { nodes: indexOf(schema).nodes, copies: new Set(), steps: 0 };
  return fill(schema, value, filling, 0) as JsonObject;
}

function indexOf(schema: JsonObject): SchemaIndex {
  const known = indexes.get(schema);
  if (known !== undefined) return known;
  const index: SchemaIndex = { resources: new Map(), nodes: new Map(), references: [] };
  const named = getOwn(schema, '$schema');
  const dialect = typeof named === 'string' ? dialectOf(named) : undefined;
  addDocument(index, schema, 'schema:///', dialect ?? draft202012);
  resolveReferences(index, (uri) => metaSchemas.get(uri));
  indexes.set(schema, index);
  return index;
}

function fill(
  schema: JsonValue | undefined,
  instance: JsonValue,
  filling: Filling,
  depth: number,
): JsonValue {
  const node = isJsonObject(schema) ? filling.nodes.get(schema) : undefined;
  if (node === undefined || typeof instance !== 'object' || instance === null) return instance;
  spend(filling, 1, depth);
  const own = ownKeywords(node);
  let filled = Array.isArray(instance)
    ? fillItems(own, instance, filling, depth)
    : fillProperties(own, instance, filling, depth);
  for (const other of alsoApplied(node)) filled = fill(other, filled, filling, depth + 1);
  return filled;
}

function fillProperties(
  schema: JsonObject,
  instance: JsonObject,
  filling: Filling,
  depth: number,
): JsonValue {
  const properties = getOwn(schema, 'properties');
  if (!isJsonObject(properties)) return instance;
  let filled = instance;
  for (const [key, subschema] of Object.entries(properties)) {
    spend(filling, 1, depth);
    const present = getOwn(filled, key);
    const before = present === undefined ? defaultOf(subschema, filling, depth) : present;
    if (before === undefined) continue;
    const after = fill(subschema, before, filling, depth + 1);
    if (after === present) continue;
    if (!filling.copies.has(filled)) {
      spend(filling, Object.keys(filled).length, depth);
      filled = { ...filled };
      filling.copies.add(filled);
    }
    setOwn(filled, key, after);
  }
  return filled;
}

/** `prefixItems` with `items`; in draft-07 a list under `items` with `additionalItems`. */
function fillItems(schema: JsonObject, instance: JsonValue[], filling: Filling, depth: number): JsonValue {
  const items = getOwn(schema, 'items');
  const listed = Array.isArray(items) ? items : getOwn(schema, 'prefixItems');
  const prefix = Array.isArray(listed) ? listed : [];
  const rest = Array.isArray(items) ? getOwn(schema, 'additionalItems') : items;
  const end = isJsonObject(rest) ? instance.length : Math.min(prefix.length, instance.length);
  // Numbers and the like are passed over quickly.
  spend(filling, end >> 4, depth);
  let filled = instance;
  for (let index = 0; index < end; index++) {
    const before = filled[index] ?? null;
    const after = fill(index < prefix.length ? prefix[index] : rest, before, filling, depth + 1);
    if (after === before) continue;
    if (!filling.copies.has(filled)) {
      spend(filling, filled.length, depth);
      filled = [...filled];
      filling.copies.add(filled);
    }
    filled[index] = after;
  }
  return filled;
}

function defaultOf(schema: JsonValue | undefined, filling: Filling, depth: number): JsonValue | undefined {
  const node = isJsonObject(schema) ? filling.nodes.get(schema) : undefined;
  if (node === undefined) return undefined;
  spend(filling, 1, depth);
  const own = getOwn(ownKeywords(node), 'default');
  if (own !== undefined) return clone(own, filling, depth);
  for (const other of alsoApplied(node)) {
    const found = defaultOf(other, filling, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

const NO_KEYWORDS: JsonObject = {};

/** The keywords of a schema that count. */
function ownKeywords({ schema, resource }: SchemaNode): JsonObject {
  if (typeof schema === 'boolean' || resource === undefined) return NO_KEYWORDS;
  return isReferenceAlone(schema, resource.dialect) ? NO_KEYWORDS : schema;
}

const NO_SCHEMAS: readonly JsonValue[] = [];

/** The schemas that hold wherever a schema does. */
function alsoApplied(node: SchemaNode): readonly JsonValue[] {
  const target = node.references.get('$ref')?.target.schema;
  const all = getOwn(ownKeywords(node), 'allOf');
  const list = Array.isArray(all) ? all : NO_SCHEMAS;
  return target === undefined ? list : [target, ...list];
}

function clone(value: JsonValue, filling: Filling, depth: number): JsonValue {
  spend(filling, 1, depth);
  if (typeof value === 'string') spend(filling, value.length >> 3, depth);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => clone(item, filling, depth + 1));
  const members = Object.entries(value).map(([key, member]) => {
    spend(filling, key.length >> 3, depth);
    return [key, clone(member, filling, depth + 1)] as const;
  });
  return Object.fromEntries(members);
}

/** Assigning to `__proto__` would change the prototype; defining is slow, and kept for this key. */
function setOwn(object: JsonObject, key: string, value: JsonValue): void {
  if (key !== '__proto__') object[key] = value;
  else Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
}

function spend(filling: Filling, steps: number, depth: number): void {
  filling.steps += steps;
  if (filling.steps > MAX_STEPS) throw new TooManyDefaults('The defaults come to too much.');
  if (depth > MAX_DEPTH) throw new TooManyDefaults('The defaults nest too deeply.');
}

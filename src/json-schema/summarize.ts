import type { JsonObject } from '../json.ts';
import { isJsonObject } from '../json.ts';
import { hasType } from './keywords/values.ts';
import type { SchemaNode } from './schema-node.ts';
import { alternatives, list, show, typeWords } from './words.ts';

/** References that are followed to find words for a schema. */
const FURTHEST = 8;

/** Keywords that do not change which values are valid, so that `type`, `const` or `enum` beside them tell all. */
const PLAIN = new Set(['type', 'const', 'enum', 'title', 'description', 'default', 'examples', 'deprecated']);

/** The types that a schema allows, if it says so. */
export function typesOf(node: SchemaNode | undefined, far = 0): string[] | undefined {
  if (node === undefined || typeof node.schema === 'boolean') return undefined;
  const { type } = node.schema;
  if (typeof type === 'string') return [type];
  if (Array.isArray(type)) return type.filter((name) => typeof name === 'string');
  return far < FURTHEST ? typesOf(node.references.get('$ref')?.target, far + 1) : undefined;
}

/** A schema's valid values in a few words, if a few words tell all. */
export function summarize(node: SchemaNode): string | undefined {
  const values = valuesOf(node);
  if (values !== undefined) return list(values, show);
  const { schema } = node;
  if (typeof schema === 'boolean') return schema ? 'any value' : undefined;
  const types = isPlain(schema) ? typesOf(node) : undefined;
  return types && typeWords(types);
}

/** Alternatives that are told one by one. */
const MOST_ALTERNATIVES = 10;

/** The valid values of several alternatives in a few words, if a few words tell all. */
export function summarizeAll(nodes: readonly SchemaNode[]): string | undefined {
  const values = nodes.map(valuesOf);
  if (values.every((each) => each !== undefined)) return `one of ${list(values.flat(), show)}`;
  if (nodes.length > MOST_ALTERNATIVES) return undefined;
  const words = nodes.map(summarize);
  return words.every((each) => each !== undefined) ? alternatives(words) : undefined;
}

/** The types that several alternatives ask for, if the value has none of them. */
export function missedTypes(nodes: readonly SchemaNode[], instance: unknown): string | undefined {
  const types = nodes.map((node) => typesOf(node));
  if (!types.every((each) => each !== undefined)) return undefined;
  const all = [...new Set(types.flat())];
  return all.some((type) => hasType(instance, type)) ? undefined : typeWords(all);
}

/** Whether a value that does not match an alternative may still have been meant for it. */
export function couldBeMeant(node: SchemaNode, instance: unknown): boolean {
  const types = typesOf(node);
  if (types !== undefined && !types.some((type) => hasType(instance, type))) return false;
  if (types === undefined && valuesOf(node) !== undefined) return false;
  return !isJsonObject(instance) || hasSameMarks(node, instance);
}

/** Whether the members that tell alternatives apart, such as `{"kind": {"const": "circle"}}`, are the alternative's. */
function hasSameMarks(node: SchemaNode, instance: JsonObject, far = 0): boolean {
  const { schema } = node;
  if (typeof schema === 'boolean') return schema;
  const target = node.references.get('$ref')?.target;
  if (target !== undefined && far < FURTHEST && !hasSameMarks(target, instance, far + 1)) return false;
  const { properties } = schema;
  if (!isJsonObject(properties)) return true;
  return Object.entries(properties).every(([name, property]) => {
    const mark = isJsonObject(property) && Object.hasOwn(property, 'const') ? property.const : undefined;
    return typeof mark !== 'string' || !Object.hasOwn(instance, name) || instance[name] === mark;
  });
}

/** The values of a schema that is a plain `const` or `enum`. */
function valuesOf({ schema }: SchemaNode): readonly unknown[] | undefined {
  if (typeof schema === 'boolean' || !isPlain(schema)) return undefined;
  if (Object.hasOwn(schema, 'const')) return [schema.const];
  return Array.isArray(schema.enum) ? schema.enum : undefined;
}

function isPlain(schema: JsonObject): boolean {
  return Object.keys(schema).every((keyword) => PLAIN.has(keyword));
}

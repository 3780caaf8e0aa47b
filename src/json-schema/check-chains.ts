import type { JsonValue } from '../json.ts';
import { isJsonObject } from '../json.ts';
import type { SchemaIndex } from './index-schema.ts';
import { isReferenceAlone, nodeOf } from './index-schema.ts';
import { schemaLimits } from './limits.ts';
import { SchemaError } from './schema-error.ts';
import type { SchemaNode } from './schema-node.ts';

const LISTS = ['allOf', 'anyOf', 'oneOf'];
const SINGLE = ['not', 'if', 'then', 'else'];
const MAPS = ['dependentSchemas', 'dependencies'];

/**
 * Refuses a schema that would apply itself to the same value without end, such as `{"$ref": "#"}` (2020-12 Core,
 * section 9.4.1), and one where too many schemas apply to the same value one inside the other.
 */
export function checkChains(index: SchemaIndex): void {
  const heights = new Map<SchemaNode, number>();
  const heightOf = (node: SchemaNode, depth: number): number => {
    const known = heights.get(node);
    if (known === Number.POSITIVE_INFINITY) {
      throw new SchemaError(
        node.pointer,
        'refers to itself without end: it applies to a value only by applying to it',
      );
    }
    if (known !== undefined) return known;
    heights.set(node, Number.POSITIVE_INFINITY);
    let height = 0;
    for (const next of appliedInPlace(index, node)) {
      if (depth > schemaLimits.chain) throw tooLong(node);
      height = Math.max(height, 1 + heightOf(next, depth + 1));
    }
    if (depth + height > schemaLimits.chain) throw tooLong(node);
    heights.set(node, height);
    return height;
  };
  for (const node of index.nodes.values()) heightOf(node, 0);
}

function tooLong(node: SchemaNode): SchemaError {
  return new SchemaError(
    node.pointer,
    `more than ${schemaLimits.chain} schemas would apply to one value one inside the other`,
  );
}

/** The schemas that a schema applies to the value it judges, not to a part of it. */
function appliedInPlace(index: SchemaIndex, node: SchemaNode): SchemaNode[] {
  const { schema, resource } = node;
  if (typeof schema === 'boolean' || resource === undefined) return [];
  const found: SchemaNode[] = [];
  for (const { target, anchor } of node.references.values()) {
    // Where a dynamic reference leads is known only when it is followed; there the depth is limited as well.
    if (anchor === undefined) found.push(target);
  }
  if (isReferenceAlone(schema, resource.dialect)) return found;
  const add = (value: JsonValue | undefined) => {
    if (isJsonObject(value)) found.push(nodeOf(index, value));
  };
  for (const keyword of SINGLE) if (isKnown(node, keyword)) add(schema[keyword]);
  for (const keyword of LISTS) {
    const value = schema[keyword];
    if (isKnown(node, keyword) && Array.isArray(value)) value.forEach(add);
  }
  for (const keyword of MAPS) {
    const value = schema[keyword];
    if (isKnown(node, keyword) && isJsonObject(value)) Object.values(value).forEach(add);
  }
  return found;
}

function isKnown(node: SchemaNode, keyword: string): boolean {
  return (
    typeof node.schema === 'object' &&
    Object.hasOwn(node.schema, keyword) &&
    node.resource?.dialect.keywords.has(keyword) === true
  );
}

import type { JsonValue } from '../json.ts';
import { getOwn, isJsonObject } from '../json.ts';
import type { Dialect } from './dialects.ts';
import { dialectOf } from './dialects.ts';
import type { SchemaIndex } from './index-schema.ts';
import { addDocument, addSchema, nodeOf, resolveUri, splitFragment } from './index-schema.ts';
import { pointerTokens } from './json-pointer.ts';
import { SchemaError } from './schema-error.ts';
import type { Reference, Resource, SchemaNode } from './schema-node.ts';
import { show } from './words.ts';

/** A document that may be referred to, by its absolute URI. Nothing is ever fetched. */
export type FindDocument = (uri: string) => JsonValue | undefined;

/**
 * Finds the target of every `$ref` and `$dynamicRef` (2020-12 Core, section 8.2.3; draft-07 Core, section 8.3).
 * Throws SchemaError at a reference that leads nowhere.
 */
export function resolveReferences(index: SchemaIndex, findDocument: FindDocument): void {
  // Documents and schemas that a reference leads to bring references of their own to the end of this list.
  for (const { node, keyword, uri } of index.references) {
    const pointer = `${node.pointer}/${keyword}`;
    const reference = resolveReference(index, node, uri, pointer, findDocument);
    const isDynamic = keyword === '$dynamicRef';
    node.references.set(keyword, isDynamic ? reference : { ...reference, anchor: undefined });
  }
}

function resolveReference(
  index: SchemaIndex,
  from: SchemaNode,
  reference: string,
  pointer: string,
  findDocument: FindDocument,
): Reference {
  const unresolvable = (why: string) => new SchemaError(pointer, `${show(reference)} ${why}`);
  if (from.resource === undefined) throw unresolvable('has no schema around it');
  const [uriReference, encoded] = splitFragment(reference);
  const fragment = decodeFragment(encoded);
  if (fragment === undefined) throw unresolvable('is not a URI reference');
  const uri = resolveUri(uriReference, from.resource.uri, pointer);
  const resource = resourceOf(index, uri, from.resource.dialect, findDocument);
  if (resource === undefined) throw unresolvable('is not a part of this schema, and nothing is fetched');
  if (fragment === '') return { target: nodeOf(index, resource.root), anchor: undefined };
  if (fragment.startsWith('/')) {
    const target = nodeAt(index, resource, fragment);
    if (target === undefined) throw unresolvable('does not lead to a schema');
    return { target, anchor: undefined };
  }
  const dynamic = resource.dynamicAnchors.get(fragment);
  const target = dynamic ?? resource.anchors.get(fragment);
  if (target === undefined) throw unresolvable('names an anchor that the schema does not have');
  return { target, anchor: dynamic && fragment };
}

function decodeFragment(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}

function resourceOf(
  index: SchemaIndex,
  uri: string,
  dialect: Dialect,
  findDocument: FindDocument,
): Resource | undefined {
  const known = index.resources.get(uri);
  if (known !== undefined) return known;
  const document = findDocument(uri);
  if (document === undefined) return undefined;
  const named = isJsonObject(document) ? getOwn(document, '$schema') : undefined;
  addDocument(index, document, uri, (typeof named === 'string' && dialectOf(named)) || dialect);
  return index.resources.get(uri);
}

/** The schema at a pointer, which may lead through keywords that are not ours. */
function nodeAt(index: SchemaIndex, resource: Resource, pointer: string): SchemaNode | undefined {
  let value: JsonValue | undefined = resource.root;
  let around = resource;
  for (const token of pointerTokens(pointer)) {
    value = memberOf(value, token);
    around = (isJsonObject(value) && index.nodes.get(value)?.resource) || around;
  }
  if (typeof value !== 'boolean' && !isJsonObject(value)) return undefined;
  addSchema(index, value, resource.pointer + pointer, around);
  return nodeOf(index, value);
}

function memberOf(value: JsonValue | undefined, token: string): JsonValue | undefined {
  if (Array.isArray(value)) return /^(0|[1-9]\d*)$/.test(token) ? value[Number(token)] : undefined;
  return isJsonObject(value) ? getOwn(value, token) : undefined;
}

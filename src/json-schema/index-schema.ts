import type { JsonObject, JsonValue } from '../json.ts';
import { isJsonObject } from '../json.ts';
import { checkShape } from './check-shape.ts';
import type { Dialect } from './dialects.ts';
import { dialectOf } from './dialects.ts';
import { escapeToken } from './json-pointer.ts';
import { schemaLimits } from './limits.ts';
import { SchemaError } from './schema-error.ts';
import type { Resource, SchemaNode } from './schema-node.ts';
import { anything, nothing } from './schema-node.ts';
import { describe, show } from './words.ts';

/** A `$ref` or `$dynamicRef` that was found. */
interface FoundReference {
  readonly node: SchemaNode;
  readonly keyword: string;
  readonly uri: string;
}

/** All that is known of a schema before its keywords are compiled. */
export interface SchemaIndex {
  /** By their absolute URI. */
  readonly resources: Map<string, Resource>;
  readonly nodes: Map<JsonObject, SchemaNode>;
  readonly references: FoundReference[];
}

/** Adds a document that stands at a URI. Throws SchemaError where it is no schema of its dialect. */
export function addDocument(index: SchemaIndex, document: JsonValue, uri: string, dialect: Dialect): void {
  if (typeof document !== 'boolean' && !isJsonObject(document)) throw notASchema(document, '');
  const resource = resourceAt(uri, dialect, document, '');
  index.resources.set(uri, resource);
  addSchema(index, document, '', resource);
}

/** Adds a schema, and the schemas inside it, that stands in a resource. */
export function addSchema(index: SchemaIndex, schema: JsonValue, pointer: string, around: Resource): void {
  if (typeof schema === 'boolean') return;
  if (!isJsonObject(schema)) throw notASchema(schema, pointer);
  if (index.nodes.has(schema)) return;
  if (index.nodes.size >= schemaLimits.subschemas) {
    throw new SchemaError(pointer, `the schema holds more than ${schemaLimits.subschemas} schemas`);
  }
  checkDialect(schema, pointer, around.dialect);
  const resource = resourceOf(index, schema, pointer, around);
  const node: SchemaNode = { schema, pointer, resource, references: new Map(), check: nothing.check };
  index.nodes.set(schema, node);
  addAnchors(node, resource);
  for (const [keyword, value] of Object.entries(schema)) {
    const shape = resource.dialect.keywords.get(keyword);
    if (shape === undefined) continue;
    const at = `${pointer}/${escapeToken(keyword)}`;
    checkShape(shape, value, at, (subschema, subpointer) =>
      addSchema(index, subschema, subpointer, resource),
    );
    if (shape === 'reference') addReference(index, { node, keyword, uri: String(value) }, at);
  }
}

/** The node of a schema that was added. */
export function nodeOf(index: SchemaIndex, schema: JsonValue | undefined): SchemaNode {
  if (schema === false) return nothing;
  return isJsonObject(schema) ? (index.nodes.get(schema) ?? anything) : anything;
}

/** Whether the other keywords are ignored, as draft-07 does beside `$ref` (Core, section 8.3). */
export function isReferenceAlone(schema: JsonObject, dialect: Dialect): boolean {
  return dialect.name === 'draft-07' && Object.hasOwn(schema, '$ref');
}

/** Resolves a URI reference, without its fragment, against an absolute URI (RFC 3986, section 5). */
export function resolveUri(reference: string, base: string, pointer: string): string {
  if (reference === '') return base;
  if (!URL.canParse(reference, base))
    throw new SchemaError(pointer, `${show(reference)} is not a URI reference`);
  return new URL(reference, base).href;
}

/** The parts of a URI reference before and after '#'. */
export function splitFragment(reference: string): [uri: string, fragment: string] {
  const hash = reference.indexOf('#');
  return hash < 0 ? [reference, ''] : [reference.slice(0, hash), reference.slice(hash + 1)];
}

function resourceAt(uri: string, dialect: Dialect, root: JsonObject | boolean, pointer: string): Resource {
  return { uri, dialect, root, pointer, anchors: new Map(), dynamicAnchors: new Map() };
}

/** The resource that a schema belongs to: the one around it, or its own if it has an `$id`. */
function resourceOf(index: SchemaIndex, schema: JsonObject, pointer: string, around: Resource): Resource {
  const id = Object.hasOwn(schema, '$id') ? schema.$id : undefined;
  if (typeof id !== 'string' || isReferenceAlone(schema, around.dialect)) return around;
  const [reference] = splitFragment(id);
  const at = `${pointer}/$id`;
  const uri = resolveUri(reference, around.uri, at);
  const isRoot = around.root === schema;
  if (reference === '' || (isRoot && uri === around.uri)) return around;
  const known = index.resources.get(uri);
  if (known !== undefined) throw new SchemaError(at, `${show(id)} is also the $id of ${show(known.pointer)}`);
  const resource = isRoot ? { ...around, uri } : resourceAt(uri, around.dialect, schema, pointer);
  index.resources.set(uri, resource);
  if (isRoot) index.resources.set(around.uri, resource);
  return resource;
}

function addAnchors(node: SchemaNode, resource: Resource): void {
  const { schema, pointer } = node;
  if (typeof schema === 'boolean') return;
  const add = (anchors: Map<string, SchemaNode>, name: string, keyword: string) => {
    const known = resource.anchors.get(name) ?? resource.dynamicAnchors.get(name);
    if (known !== undefined && known !== node) {
      throw new SchemaError(
        `${pointer}/${keyword}`,
        `${show(name)} is also an anchor of ${show(known.pointer)}`,
      );
    }
    anchors.set(name, node);
  };
  if (resource.dialect.name === 'draft-07') {
    const [, fragment] = typeof schema.$id === 'string' ? splitFragment(schema.$id) : ['', ''];
    if (fragment !== '' && !isReferenceAlone(schema, resource.dialect))
      add(resource.anchors, fragment, '$id');
    return;
  }
  if (typeof schema.$anchor === 'string') add(resource.anchors, schema.$anchor, '$anchor');
  if (typeof schema.$dynamicAnchor === 'string') {
    add(resource.dynamicAnchors, schema.$dynamicAnchor, '$dynamicAnchor');
  }
}

function addReference(index: SchemaIndex, reference: FoundReference, pointer: string): void {
  if (index.references.length >= schemaLimits.references) {
    throw new SchemaError(pointer, `the schema holds more than ${schemaLimits.references} references`);
  }
  index.references.push(reference);
}

/** A schema inside another may repeat the dialect, but not change it. */
function checkDialect(schema: JsonObject, pointer: string, dialect: Dialect): void {
  const uri = Object.hasOwn(schema, '$schema') ? schema.$schema : undefined;
  if (typeof uri === 'string' && dialectOf(uri) !== dialect) {
    throw new SchemaError(`${pointer}/$schema`, `${show(uri)} is not the dialect of the schema around it`);
  }
}

function notASchema(value: JsonValue, pointer: string): SchemaError {
  return new SchemaError(pointer, `expected a schema (an object, true or false), got ${describe(value)}`);
}

import { getOwn, isJsonObject, type JsonObject, type JsonValue } from '../../../json.ts';
import { DocumentError } from './document-error.ts';

/** Nesting of a schema; a definition takes less. */
const MAX_DEPTH = 60;

const SCHEMAS: ReadonlySet<string> = new Set([
  'additionalProperties',
  'allOf',
  'anyOf',
  'contains',
  'else',
  'if',
  'items',
  'not',
  'oneOf',
  'prefixItems',
  'propertyNames',
  'then',
  'unevaluatedItems',
  'unevaluatedProperties',
]);

const MAPS: ReadonlySet<string> = new Set(['dependentSchemas', 'patternProperties', 'properties']);

/** What says nothing of the value, or is said otherwise; `$defs` are reached by references, which copy them. */
const LEFT_OUT =
  /^(?:\$anchor|\$comment|\$defs|\$dynamicAnchor|\$id|\$schema|definitions|discriminator|externalDocs|example|nullable|propertyOrdering|readOnly|writeOnly|xml|x-.*)$/;

/** How the schemas of one document are written, and where what is found in them goes. */
export interface Conversion {
  /** `openapi-3.0` has `nullable` and booleans in `exclusiveMinimum`; `gemini` writes its types in capitals too. */
  readonly dialect: 'openapi-3.0' | 'gemini' | 'json-schema';
  /** What `$ref` becomes. @throws DocumentError for one that cannot be followed. */
  readonly refer: (reference: string) => string;
  /** Told each value's size in characters. @throws DocumentError when it is too much. */
  readonly count: (characters: number) => void;
}

/**
 * Makes of a schema in an API's description one of draft 2020-12 for what is sent: without what only the API answers
 * with (`readOnly`).
 *
 * @throws DocumentError for what is no schema, is nested too deep, or refers to what cannot be followed.
 */
export function convertSchema(conversion: Conversion, schema: JsonValue, depth = 0): JsonValue {
  if (typeof schema === 'boolean') return schema;
  if (!isJsonObject(schema)) throw new DocumentError('A schema is neither an object nor true or false.');
  checkDepth(depth);
  const isOld = conversion.dialect !== 'json-schema';
  const hidden = namesOfReadOnly(conversion, schema);
  const entries: [string, JsonValue][] = [];
  for (const [key, value] of Object.entries(schema)) {
    if (LEFT_OUT.test(key)) continue;
    conversion.count(key.length + 4);
    if (key === '$ref') entries.push([key, refer(conversion, value)]);
    else if (key === '$dynamicRef') throw new DocumentError('It uses $dynamicRef, which is not followed.');
    else if (isOld && Object.hasOwn(schema, '$ref') && key !== 'description') continue;
    else if (SCHEMAS.has(key)) entries.push([key, convertMany(conversion, value, depth + 1)]);
    else if (MAPS.has(key)) entries.push([key, convertMap(conversion, value, hidden, depth + 1)]);
    else if (key === 'required' && Array.isArray(value)) {
      const shown = value.filter((name) => typeof name !== 'string' || !hidden.has(name));
      if (shown.length > 0) entries.push([key, counted(conversion, shown, depth)]);
    } else entries.push([key, counted(conversion, value, depth)]);
  }
  const example = getOwn(schema, 'example');
  if (example !== undefined && !Object.hasOwn(schema, 'examples')) {
    entries.push(['examples', [counted(conversion, example, depth)]]);
  }
  const converted: JsonObject = Object.fromEntries(entries);
  if (conversion.dialect === 'gemini' && typeof converted.type === 'string') {
    converted.type = converted.type.toLowerCase();
  }
  return isOld ? modernize(converted, getOwn(schema, 'nullable') === true) : converted;
}

function refer(conversion: Conversion, reference: JsonValue): string {
  if (typeof reference !== 'string') throw new DocumentError('A $ref is not a string.');
  const target = conversion.refer(reference);
  conversion.count(target.length);
  return target;
}

function convertMany(conversion: Conversion, value: JsonValue, depth: number): JsonValue {
  if (!Array.isArray(value)) return convertSchema(conversion, value, depth);
  checkDepth(depth);
  return value.map((schema) => convertSchema(conversion, schema, depth + 1));
}

function convertMap(
  conversion: Conversion,
  value: JsonValue,
  hidden: ReadonlySet<string>,
  depth: number,
): JsonValue {
  if (!isJsonObject(value)) throw new DocumentError("A schema's properties are not an object.");
  const shown = Object.entries(value).filter(([name]) => !hidden.has(name));
  return Object.fromEntries(
    shown.map(([name, schema]) => {
      conversion.count(name.length + 4);
      return [name, convertSchema(conversion, schema, depth + 1)];
    }),
  );
}

function namesOfReadOnly(conversion: Conversion, schema: JsonObject): Set<string> {
  const names = new Set<string>();
  const properties = getOwn(schema, 'properties');
  if (!isJsonObject(properties)) return names;
  for (const [name, property] of Object.entries(properties)) {
    if (!isJsonObject(property) || getOwn(property, 'readOnly') !== true) continue;
    conversion.count(name.length + 4);
    names.add(name);
  }
  return names;
}

/** A plain value such as `enum` or `default`. */
function counted(conversion: Conversion, value: JsonValue, depth: number): JsonValue {
  checkDepth(depth);
  conversion.count(typeof value === 'string' ? value.length + 3 : 5);
  if (Array.isArray(value)) for (const item of value) counted(conversion, item, depth + 1);
  else if (isJsonObject(value)) {
    for (const [key, item] of Object.entries(value)) {
      conversion.count(key.length + 4);
      counted(conversion, item, depth + 1);
    }
  }
  return value;
}

function checkDepth(depth: number): void {
  if (depth > MAX_DEPTH) throw new DocumentError(`A schema is nested more than ${MAX_DEPTH} levels deep.`);
}

/** OpenAPI 3.0's own words, as JSON Schema says them. */
function modernize(schema: JsonObject, nullable: boolean): JsonObject {
  const modern: JsonObject = { ...schema };
  for (const [limit, exclusive] of [
    ['minimum', 'exclusiveMinimum'],
    ['maximum', 'exclusiveMaximum'],
  ] as const) {
    if (typeof modern[exclusive] !== 'boolean') continue;
    const bound = modern[limit];
    const isExclusive = modern[exclusive];
    delete modern[exclusive];
    if (!isExclusive || bound === undefined) continue;
    modern[exclusive] = bound;
    delete modern[limit];
  }
  if (!nullable) return modern;
  if (typeof modern.type !== 'string') return { anyOf: [modern, { type: 'null' }] };
  modern.type = [modern.type, 'null'];
  if (Array.isArray(modern.enum) && !modern.enum.includes(null)) modern.enum = [...modern.enum, null];
  return modern;
}

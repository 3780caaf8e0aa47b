import { clip } from '../../../clip.ts';
import { getOwn, isJsonObject, type JsonObject, type JsonValue } from '../../../json.ts';
import { DocumentError } from './document-error.ts';
import { objectAt } from './reference.ts';
import { addArgument, argumentName, fitName, type RequestParts } from './request-parts.ts';
import type { OperationSchemas } from './schemas.ts';

const FORM = 'application/x-www-form-urlencoded';

/** What may stand beside `properties` in a schema whose properties become arguments of their own. */
const PLAIN: ReadonlySet<string> = new Set([
  'additionalProperties',
  'deprecated',
  'description',
  'examples',
  'properties',
  'required',
  'title',
  'type',
]);

/**
 * Makes arguments of an operation's request body: of the properties of an object, where no other argument bears the name
 * of one, else of the whole.
 *
 * @throws DocumentError where a body is required that a webhook cannot send.
 */
export function placeBody(
  { document, schemas, method }: { document: JsonObject; schemas: OperationSchemas; method: string },
  input: JsonValue | undefined,
  parts: RequestParts,
): void {
  if (input === undefined) return;
  const body = objectAt(document, input, 'The request body');
  const isRequired = getOwn(body, 'required') === true;
  const content = getOwn(body, 'content');
  const media = chooseMedia(isJsonObject(content) ? content : {});
  const why =
    method === 'GET' || method === 'HEAD'
      ? `${method} has none`
      : `it is ${clip(Object.keys(isJsonObject(content) ? content : {}).join(', ') || 'of no type')}`;
  if (!media || why.endsWith('has none')) {
    if (isRequired) throw new DocumentError(`Its request body is required, but cannot be sent: ${why}.`);
    parts.notes.push(`The request body is left out: ${why}.`);
    return;
  }
  if (media.type !== 'application/json') parts.headers.set('content-type', media.type);
  const top = isJsonObject(media.schema) ? objectAt(document, media.schema, 'The schema of the body') : {};
  const looked = schemas.peek(top);
  if (isJsonObject(looked) && canSpread(looked, parts)) {
    spread(schemas.convert(top) as JsonObject, parts, isRequired);
    return;
  }
  if (media.type === FORM) throw new DocumentError('Its form is not described as an object of plain fields.');
  const argument = argumentName(parts, 'body', 'request');
  const description = getOwn(body, 'description');
  const schema = schemas.convert(media.schema, typeof description === 'string' ? description : '');
  parts.body = `{${argument}}`;
  addArgument(parts, argument, schema, { isRequired });
}

/** JSON of any kind before a form; nothing else can be sent. */
function chooseMedia(content: JsonObject): { type: string; schema: JsonValue } | undefined {
  let form: { type: string; schema: JsonValue } | undefined;
  for (const [name, media] of Object.entries(content)) {
    const type = name.split(';', 1)[0]?.trim().toLowerCase() ?? '';
    const schema = isJsonObject(media) ? (getOwn(media, 'schema') ?? {}) : {};
    if (type === '*/*' || type === 'application/*') return { type: 'application/json', schema };
    if (/^application\/(?:json|[\w.-]+\+json)$/.test(type)) return { type, schema };
    if (type === FORM) form ??= { type, schema };
  }
  return form;
}

function canSpread(schema: JsonObject, parts: RequestParts): boolean {
  const properties = getOwn(schema, 'properties');
  if (!isJsonObject(properties) || Object.keys(properties).length === 0) return false;
  if (!Object.keys(schema).every((key) => PLAIN.has(key))) return false;
  if (schema.type !== undefined && schema.type !== 'object') return false;
  return Object.keys(properties).every((name) => fitName(name) === name && !parts.properties.has(name));
}

function spread(schema: JsonObject, parts: RequestParts, isRequired: boolean): void {
  const properties = schema.properties as JsonObject;
  const required = new Set(isRequired && Array.isArray(schema.required) ? schema.required : []);
  const templates: [string, JsonValue][] = [];
  for (const [name, property] of Object.entries(properties)) {
    addArgument(parts, name, property, { isRequired: required.has(name) });
    templates.push([name, `{${name}}`]);
  }
  parts.body = Object.fromEntries(templates);
  parts.additionalProperties = getOwn(schema, 'additionalProperties');
}

import { clip } from '../../../clip.ts';
import { getOwn, isJsonObject, type JsonObject, type JsonValue } from '../../../json.ts';
import { DocumentError } from './document-error.ts';
import { objectAt } from './reference.ts';
import { addArgument, argumentName, type RequestParts, schemaOf } from './request-parts.ts';
import type { OperationSchemas } from './schemas.ts';

/** Parameters that are read of an operation and its path together. */
const MAX_PARAMETERS = 300;

/**
 * Headers that are not arguments: OpenAPI says that the first three are not parameters, and the service sends the others
 * itself.
 */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'accept',
  'authorization',
  'content-type',
  'accept-encoding',
  'idempotency-key',
  'traceparent',
  'tracestate',
]);

/** A placeholder of a path. */
export const PLACEHOLDER = /\{([^{}]*)\}/g;

/** What is known of an operation before its parameters. */
export interface Operation {
  readonly document: JsonObject;
  readonly path: string;
  readonly schemas: OperationSchemas;
  /** Of the path and of the operation; the latter override the former. */
  readonly parameters: readonly (JsonValue | undefined)[];
  /** The credential, whose header or query parameter is no argument. */
  readonly authentication: JsonObject | undefined;
}

/**
 * Makes arguments of an operation's parameters, and templates that place them in its request.
 *
 * @throws DocumentError for a required one that a webhook cannot send.
 */
export function placeParameters(operation: Operation, parts: RequestParts): void {
  for (const parameter of collect(operation).values()) {
    const name = String(parameter.name);
    switch (parameter.in) {
      case 'path':
        placeInPath(operation, parts, parameter, name);
        break;
      case 'query':
        placeInQuery(operation, parts, parameter, name);
        break;
      case 'header':
        placeInHeaders(operation, parts, parameter, name);
        break;
      default:
        leaveOut(parts, parameter, `${clip(String(parameter.in))} parameters are not sent`);
    }
  }
  describeRestOfPath(operation, parts);
}

function collect({ document, parameters }: Operation): Map<string, JsonObject> {
  const collected = new Map<string, JsonObject>();
  for (const list of parameters) {
    if (list === undefined) continue;
    if (!Array.isArray(list)) throw new DocumentError("'parameters' is not a list.");
    if (list.length > MAX_PARAMETERS)
      throw new DocumentError(`It has more than ${MAX_PARAMETERS} parameters.`);
    for (const item of list) {
      const parameter = objectAt(document, item, 'A parameter');
      if (typeof parameter.name !== 'string' || typeof parameter.in !== 'string') {
        throw new DocumentError("A parameter has no 'name' or no 'in'.");
      }
      collected.set(`${parameter.in} ${parameter.name}`, parameter);
    }
  }
  return collected;
}

function placeInPath(operation: Operation, parts: RequestParts, parameter: JsonObject, name: string): void {
  if (!operation.path.includes(`{${name}}`)) return;
  const required = { ...parameter, required: true };
  const type = typeOf(operation, parameter);
  if (type === 'object') leaveOut(parts, required, 'objects in the path are not sent');
  const argument = argumentName(parts, name, 'path');
  parts.path.set(name, argument);
  add(operation, parts, argument, required, type === 'array' ? ',' : undefined);
}

function placeInQuery(operation: Operation, parts: RequestParts, parameter: JsonObject, name: string): void {
  const { authentication } = operation;
  if (authentication?.in === 'query' && authentication.name === name) return;
  const isSerialized = Object.hasOwn(parameter, 'content');
  if (!isSerialized && typeOf(operation, parameter) === 'object') {
    leaveOut(parts, parameter, 'objects spread over the query are not sent');
    return;
  }
  const argument = argumentName(parts, name, 'query');
  const style = getOwn(parameter, 'style') ?? 'form';
  const separator = style === 'pipeDelimited' ? '|' : style === 'spaceDelimited' ? ' ' : ',';
  const isRepeated = isSerialized || (separator === ',' && getOwn(parameter, 'explode') !== false);
  const isJoined = !isRepeated && typeOf(operation, parameter) === 'array';
  parts.query.set(name, `{${argument}}`);
  add(operation, parts, argument, parameter, isJoined ? separator : undefined);
}

function placeInHeaders(
  operation: Operation,
  parts: RequestParts,
  parameter: JsonObject,
  name: string,
): void {
  const { authentication } = operation;
  const lower = name.toLowerCase();
  if (OWN_HEADERS.has(lower)) return;
  if (authentication?.in === 'header' && String(authentication.name).toLowerCase() === lower) return;
  if (typeOf(operation, parameter) === 'object') {
    leaveOut(parts, parameter, 'objects in headers are not sent');
    return;
  }
  const argument = argumentName(parts, name, 'header');
  parts.headers.set(name, `{${argument}}`);
  add(operation, parts, argument, parameter, undefined);
}

/** Adds a parameter as an argument. A list that goes out as one text is asked for as that: `separator` joins it. */
function add(
  { schemas }: Pick<Operation, 'schemas'>,
  parts: RequestParts,
  argument: string,
  parameter: JsonObject,
  separator: string | undefined,
): void {
  const said = typeof parameter.description === 'string' ? parameter.description : '';
  const joined = separator === undefined ? '' : `Several values are joined by "${separator}".`;
  const description = [said, joined].filter((text) => text !== '').join('\n\n');
  const schema = separator === undefined ? schemaOf(parameter) : { type: 'string' };
  addArgument(parts, argument, schemas.convert(schema, description), {
    isRequired: parameter.required === true,
  });
}

/** Placeholders of the path that nothing describes are texts. */
function describeRestOfPath(operation: Operation, parts: RequestParts): void {
  for (const [, name = ''] of operation.path.matchAll(PLACEHOLDER)) {
    if (parts.path.has(name)) continue;
    const argument = argumentName(parts, name, 'path');
    parts.path.set(name, argument);
    addArgument(parts, argument, { type: 'string' }, { isRequired: true });
  }
}

function leaveOut(parts: RequestParts, parameter: JsonObject, why: string): void {
  const name = clip(String(parameter.name));
  if (parameter.required === true)
    throw new DocumentError(`Its parameter "${name}" is required, but ${why}.`);
  parts.notes.push(`The parameter "${name}" is left out: ${why}.`);
}

/** The type of a parameter's schema, as far as it is said at its top. */
function typeOf({ document }: Operation, parameter: JsonObject): string | undefined {
  const schema = schemaOf(parameter);
  if (!isJsonObject(schema)) return undefined;
  const top = objectAt(document, schema, 'A schema');
  const { type } = top;
  const said = Array.isArray(type) ? type.find((name) => name !== 'null') : type;
  if (typeof said === 'string') return said;
  return isJsonObject(getOwn(top, 'properties')) ? 'object' : undefined;
}

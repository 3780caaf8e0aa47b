import { getOwn, isJsonObject, type JsonObject, type JsonValue } from '../../../json.ts';
import { takeTurns } from '../../../take-turns.ts';
import type { Candidate, ImportOptions } from '../candidate.ts';
import { DocumentError } from './document-error.ts';
import { placeBody } from './place-body.ts';
import { PLACEHOLDER, placeParameters } from './place-parameters.ts';
import { objectAt } from './reference.ts';
import { emptyParts, type RequestParts } from './request-parts.ts';
import { createSchemas, type DocumentSchemas } from './schemas.ts';
import { readSecurity } from './security.ts';
import { serverUrl } from './server-url.ts';

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];
const SENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']);

/** Characters of all schemas that are made of one document: references may repeat what they lead to. */
const MAX_CHARACTERS = 64 * 1024 * 1024;

/** Members of one object of a document. */
export const MAX_MEMBERS = 3000;

/** One operation and where it stands. */
interface Place {
  readonly path: string;
  readonly method: string;
  readonly item: JsonObject;
  readonly operation: JsonValue;
}

interface Reading {
  readonly document: JsonObject;
  readonly schemas: DocumentSchemas;
  readonly options: ImportOptions;
}

/** The operations of an OpenAPI 3.0 or 3.1 document, in its order; no more than `most` of them. */
export async function findOperations(document: JsonObject, most: number): Promise<Place[]> {
  const places: Place[] = [];
  // Many paths may refer to one item.
  const known = new Map<JsonObject, string[]>();
  const nextTurn = takeTurns();
  const paths = getOwn(document, 'paths');
  for (const [path, value] of Object.entries(isJsonObject(paths) ? paths : {})) {
    await nextTurn();
    if (!path.startsWith('/')) continue;
    const item = pathItem(document, value);
    const keys = known.get(item) ?? Object.keys(item).filter((key) => METHODS.includes(key));
    known.set(item, keys);
    for (const key of keys) {
      if (places.length === most) return places;
      places.push({ path, method: key.toUpperCase(), item, operation: item[key] ?? null });
    }
  }
  return places;
}

/**
 * Whether an object of the document has very many members: operations may share it by reference, and reading it for each
 * of them would take long.
 */
export async function isCrowded(document: JsonObject): Promise<boolean> {
  const nextTurn = takeTurns();
  const waiting: JsonValue[] = [document];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    await nextTurn();
    const members = Object.values(value as JsonObject);
    if (members.length > MAX_MEMBERS && !Array.isArray(value)) return true;
    for (const member of members) if (typeof member === 'object' && member !== null) waiting.push(member);
  }
  return false;
}

/**
 * Makes a tool of each operation, one at a time.
 *
 * @param maxCharacters of one operation's schemas.
 */
export function* readOpenApi(
  document: JsonObject,
  places: readonly Place[],
  options: ImportOptions,
  maxCharacters: number,
): Generator<Candidate> {
  const dialect = String(document.openapi).startsWith('3.0') ? 'openapi-3.0' : 'json-schema';
  const schemas = createSchemas(document, dialect, { each: maxCharacters, all: MAX_CHARACTERS });
  for (const place of places) {
    const name = nameOf(place);
    try {
      yield readOperation({ document, schemas, options }, place, name);
    } catch (error) {
      if (!(error instanceof DocumentError)) throw error;
      yield { name, errors: [error.message] };
    }
  }
}

function readOperation({ document, schemas, options }: Reading, place: Place, name: string): Candidate {
  const { path, method, item } = place;
  const operation = objectAt({}, place.operation, 'The operation');
  if (!SENT.has(method)) throw new DocumentError(`The method ${method} is not sent.`);
  const server = serverUrl(options.serverUrl, [operation, item, document]);
  const security = readSecurity(document, operation, options.credentials);
  const parts = emptyParts();
  const operationSchemas = schemas.forOperation();
  const authentication = security.authentication ?? security.missing?.authentication;
  placeParameters(
    {
      document,
      path,
      schemas: operationSchemas,
      parameters: [getOwn(item, 'parameters'), getOwn(operation, 'parameters')],
      authentication,
    },
    parts,
  );
  placeBody({ document, schemas: operationSchemas, method }, getOwn(operation, 'requestBody'), parts);
  return {
    name,
    toolType: 'standard',
    definition: {
      name,
      description: descriptionOf(operation, place),
      parameters: parametersOf(parts, operationSchemas.definitions()),
      annotations: annotationsOf(method),
      execution: {
        type: 'webhook',
        method,
        url: `${server}${urlPath(path, parts)}`,
        ...(parts.query.size === 0 ? {} : { query: Object.fromEntries(parts.query) }),
        ...(parts.headers.size === 0 ? {} : { headers: Object.fromEntries(parts.headers) }),
        ...(parts.body === undefined ? {} : { body: parts.body }),
        ...(security.authentication ? { authentication: security.authentication } : {}),
      },
    },
    missing: security.missing,
    notes: [...security.notes, ...parts.notes],
  };
}

function pathItem(document: JsonObject, value: JsonValue): JsonObject {
  try {
    return objectAt(document, value, 'The path');
  } catch (error) {
    if (error instanceof DocumentError) return {};
    throw error;
  }
}

function nameOf({ path, method, operation }: Place): string {
  const id = isJsonObject(operation) ? getOwn(operation, 'operationId') : undefined;
  if (typeof id === 'string' && id.trim() !== '') return id.trim();
  const made = `${method.toLowerCase()}_${path}`.replace(/[^A-Za-z0-9-]+/g, '_');
  return made.replace(/_$/, '').slice(0, 200);
}

/** The path with placeholders for arguments. */
function urlPath(path: string, parts: RequestParts): string {
  return path.replace(PLACEHOLDER, (_, name: string) => `{${parts.path.get(name) ?? name}}`);
}

function descriptionOf(operation: JsonObject, { path, method }: Place): string {
  const parts = [getOwn(operation, 'summary'), getOwn(operation, 'description')];
  const said = parts.filter((text) => typeof text === 'string').map((text) => text.trim());
  const distinct = [...new Set(said)].filter((text) => text !== '');
  return distinct.length === 0 ? `${method} ${path}` : distinct.join('\n\n');
}

function parametersOf(parts: RequestParts, definitions: JsonObject | undefined): JsonObject {
  const { properties, required, additionalProperties } = parts;
  return {
    type: 'object',
    properties: Object.fromEntries(properties),
    ...(required.size === 0 ? {} : { required: [...required] }),
    ...(additionalProperties === undefined ? {} : { additionalProperties }),
    ...(definitions ? { $defs: definitions } : {}),
  };
}

/** What HTTP says of its methods, RFC 9110 section 9.2. */
function annotationsOf(method: string): JsonObject {
  const isSafe = method === 'GET' || method === 'HEAD';
  return {
    read_only: isSafe,
    destructive: method === 'DELETE',
    idempotent: isSafe || method === 'PUT' || method === 'DELETE',
  };
}

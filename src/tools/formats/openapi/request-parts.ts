import { getOwn, isJsonObject, type JsonObject, type JsonValue } from '../../../json.ts';
import { DocumentError } from './document-error.ts';

/** Parameters of an operation; a webhook takes fewer. */
const MAX_ARGUMENTS = 300;

/** The request of an operation while it is put together: what a model may give, and where that goes. */
export interface RequestParts {
  readonly properties: Map<string, JsonValue>;
  readonly required: Set<string>;
  readonly query: Map<string, JsonValue>;
  readonly headers: Map<string, JsonValue>;
  readonly notes: string[];
  /** The arguments that stand for the path's placeholders, by the names of these. */
  readonly path: Map<string, string>;
  body?: JsonValue;
  /** Whether arguments that no property describes are taken, in the words of JSON Schema. */
  additionalProperties: JsonValue | undefined;
}

/** A request without any arguments. */
export function emptyParts(): RequestParts {
  return {
    properties: new Map(),
    required: new Set(),
    query: new Map(),
    headers: new Map(),
    path: new Map(),
    notes: [],
    additionalProperties: false,
  };
}

/**
 * A name of an argument that models' APIs allow and no other argument has: `name`, or that with the place it goes to.
 *
 * @throws DocumentError where both are taken.
 */
export function argumentName(parts: RequestParts, name: string, place: string): string {
  const plain = fitName(name) || place;
  for (const candidate of [plain, `${plain.slice(0, 50)}_${place}`]) {
    if (!parts.properties.has(candidate)) return candidate;
  }
  throw new DocumentError(`It has several parameters that would be called "${plain}".`);
}

/** A name with the characters that models' APIs allow for an argument alone. */
export function fitName(name: string): string {
  return name.replace(/[^A-Za-z0-9_.-]/gu, '_').slice(0, 64);
}

/** Adds an argument. @throws DocumentError when there are too many. */
export function addArgument(
  parts: RequestParts,
  name: string,
  schema: JsonValue,
  { isRequired }: { isRequired: boolean },
): void {
  if (parts.properties.size === MAX_ARGUMENTS) {
    throw new DocumentError(`It has more than ${MAX_ARGUMENTS} parameters.`);
  }
  parts.properties.set(name, schema);
  if (isRequired) parts.required.add(name);
}

/** The `schema` that stands here, or the one of its only media type; anything where there is none. */
export function schemaOf(holder: JsonObject): JsonValue {
  const schema = getOwn(holder, 'schema');
  if (schema !== undefined) return schema;
  const content = getOwn(holder, 'content');
  const [media] = isJsonObject(content) ? Object.values(content) : [];
  return isJsonObject(media) ? (getOwn(media, 'schema') ?? {}) : {};
}

import { invalidField } from '../../errors.ts';
import { getOwn, isJsonObject, type JsonValue } from '../../json.ts';
import type { Candidate, ImportOptions } from './candidate.ts';
import { findOperations, isCrowded, MAX_MEMBERS, readOpenApi } from './openapi/read-openapi.ts';
import { isFunction, readFunctions } from './read-functions.ts';

/** Most tools in one document. */
const MAX_TOOLS = 1000;

const TAKEN =
  'Takes a list of OpenAI functions, Anthropic tools or Gemini functionDeclarations, the result of MCP tools/list, ' +
  'or an OpenAPI 3.0 or 3.1 document, as JSON; or {"document": …} with one of these.';

/**
 * Reads what tools a document describes.
 *
 * @param maxCharacters of the schemas of one operation.
 * @returns them one at a time, in the document's order.
 * @throws ServiceError `invalid_argument` for a document of another kind, or with too many tools.
 */
export async function readDocument(
  document: JsonValue | undefined,
  options: ImportOptions,
  maxCharacters: number,
): Promise<Iterable<Candidate>> {
  if (isJsonObject(document) && Object.hasOwn(document, 'openapi')) {
    if (!/^3\.[01](?:\.|$)/.test(String(document.openapi))) {
      throw invalidField('document', 'Of OpenAPI, versions 3.0 and 3.1 are taken.');
    }
    const places = await findOperations(document, MAX_TOOLS + 1);
    if (places.length > MAX_TOOLS) throw tooManyTools();
    if (await isCrowded(document)) {
      throw invalidField('document', `An object in it has more than ${MAX_MEMBERS} members.`);
    }
    return readOpenApi(document, places, options, maxCharacters);
  }
  if (isJsonObject(document) && Object.hasOwn(document, 'swagger')) {
    throw invalidField('document', 'Swagger 2.0 is not taken: convert it to OpenAPI 3.0 or 3.1.');
  }
  const functions = findFunctions(document);
  if (!functions) throw invalidField('document', TAKEN);
  if (functions.length > MAX_TOOLS) throw tooManyTools();
  return readFunctions(functions, options);
}

/** The functions of a list, or of an object that holds one; undefined where a document is neither. */
function findFunctions(document: JsonValue | undefined): JsonValue[] | undefined {
  if (Array.isArray(document)) return document.flatMap((entry) => declarationsOf(entry) ?? [entry]);
  if (!isJsonObject(document)) return undefined;
  if (isFunction(document)) return [document];
  const result = getOwn(document, 'result');
  const tools = getOwn(isJsonObject(result) ? result : document, 'tools');
  return Array.isArray(tools) ? findFunctions(tools) : declarationsOf(document);
}

function declarationsOf(entry: JsonValue): JsonValue[] | undefined {
  if (!isJsonObject(entry)) return undefined;
  const declarations = getOwn(entry, 'functionDeclarations') ?? getOwn(entry, 'function_declarations');
  return Array.isArray(declarations) ? declarations : undefined;
}

function tooManyTools() {
  return invalidField('document', `Must have no more than ${MAX_TOOLS} tools. Import it in parts.`);
}

import { clip } from '../../clip.ts';
import { getOwn, isJsonObject, type JsonObject, type JsonValue, jsonTypeOf } from '../../json.ts';
import type { ToolType } from '../tool.ts';
import type { Candidate, ImportOptions } from './candidate.ts';
import { HINTS } from './export-tools.ts';
import { convertSchema } from './openapi/convert-schema.ts';
import { DocumentError } from './openapi/document-error.ts';

/** Where each format has the schema of the arguments. */
const SCHEMA_KEYS = [
  'parameters',
  'input_schema',
  'inputSchema',
  'parametersJsonSchema',
  'parameters_json_schema',
] as const;

const HOW_TO_RUN =
  "The document does not say how it runs: give 'execution' beside 'document', such as " +
  '{"type": "webhook", "url": "https://…/{tool_name}"}, or in the tool.';

/** Whether a value looks like a tool of one of the formats of functions. */
export function isFunction(value: JsonValue): value is JsonObject {
  if (!isJsonObject(value)) return false;
  return (
    isJsonObject(getOwn(value, 'function')) ||
    (Object.hasOwn(value, 'name') &&
      (Object.hasOwn(value, 'description') || SCHEMA_KEYS.some((key) => Object.hasOwn(value, key))))
  );
}

/** Makes a tool of each function, in their order. */
export function* readFunctions(
  functions: readonly JsonValue[],
  options: ImportOptions,
): Generator<Candidate> {
  for (const entry of functions) yield readFunction(entry, options);
}

function readFunction(entry: JsonValue, options: ImportOptions): Candidate {
  if (!isJsonObject(entry)) return refused('', `A tool must be an object, not ${jsonTypeOf(entry)}.`);
  const inner = getOwn(entry, 'function');
  const source = isJsonObject(inner) ? inner : entry;
  const name = getOwn(source, 'name');
  if (typeof name !== 'string') return refused('', "It has no 'name'.");
  const key = SCHEMA_KEYS.find((known) => Object.hasOwn(source, known));
  const type = getOwn(entry, 'type') ?? 'function';
  if (key === undefined && type !== 'function' && type !== 'custom') {
    return refused(name, `A tool of type "${clip(String(type))}" is no function.`);
  }
  const execution = getOwn(entry, 'execution') ?? getOwn(source, 'execution') ?? options.execution;
  if (execution === undefined) return refused(name, HOW_TO_RUN);
  try {
    const own = isJsonObject(execution) ? fillName(execution, name) : execution;
    return {
      name,
      toolType: toolTypeOf(key),
      definition: {
        name,
        description: descriptionOf(source),
        parameters: key === undefined ? {} : parametersOf(source[key] ?? {}),
        ...(key === 'inputSchema' ? sayings(source) : {}),
        execution: own,
      },
      notes: [],
    };
  } catch (error) {
    if (error instanceof DocumentError) return refused(name, error.message);
    throw error;
  }
}

function refused(name: string, ...errors: string[]): Candidate {
  return { name, errors };
}

function toolTypeOf(key: string | undefined): ToolType {
  return key === 'inputSchema' ? 'mcp' : 'standard';
}

function descriptionOf(source: JsonObject): string {
  const said = [getOwn(source, 'description'), getOwn(source, 'title')];
  return said.find((text) => typeof text === 'string') ?? '';
}

/** Gemini has a dialect of its own, told by types in capitals; all others write JSON Schema. */
function parametersOf(schema: JsonValue): JsonValue {
  if (!isJsonObject(schema) || schema.type !== 'OBJECT') return schema;
  // Nothing in it is repeated, so that it needs no limit of its own.
  return convertSchema(
    { dialect: 'gemini', refer: (reference) => reference, count: () => undefined },
    schema,
  );
}

/** What MCP says of a tool beside its arguments. */
function sayings(source: JsonObject): JsonObject {
  const outputSchema = getOwn(source, 'outputSchema');
  const annotations = getOwn(source, 'annotations');
  const hints: [string, JsonValue][] = [];
  for (const [ours, theirs] of HINTS) {
    const value = isJsonObject(annotations) ? getOwn(annotations, theirs) : undefined;
    if (typeof value === 'boolean') hints.push([ours, value]);
  }
  return {
    ...(outputSchema === undefined ? {} : { output_schema: outputSchema }),
    ...(hints.length === 0 ? {} : { annotations: Object.fromEntries(hints) }),
  };
}

/** An execution whose URL has the tool's name in the place of `{tool_name}`. */
function fillName(execution: JsonObject, name: string): JsonObject {
  const url = getOwn(execution, 'url');
  if (typeof url !== 'string' || !url.includes('{tool_name}')) return execution;
  // A segment of dots leads to another path.
  if (/^\.+$/.test(name.trim())) throw new DocumentError('Its name cannot stand in a URL.');
  return { ...execution, url: url.replaceAll('{tool_name}', () => encodeURIComponent(name.toWellFormed())) };
}

import { getOwn, isJsonObject, type JsonObject, type JsonValue } from '../../json.ts';
import { takeTurns } from '../../take-turns.ts';
import type { ToolsContext } from '../context.ts';
import type { Tool } from '../tool.ts';
import { exportNames } from './export-names.ts';
import type { ToolFormat } from './format.ts';

/** What a format says of a tool; how it runs is in none of them. */
interface Exported {
  readonly name: string;
  readonly description: string;
  readonly parameters: JsonObject;
  readonly definition: JsonObject;
}

/** One line for each format, so that a missing one does not compile. */
const SHAPES: Record<ToolFormat, (tool: Exported) => JsonObject> = {
  openai: ({ name, description, parameters }) => ({
    type: 'function',
    function: { name, description, parameters },
  }),
  anthropic: ({ name, description, parameters }) => ({ name, description, input_schema: parameters }),
  mcp: ({ name, description, parameters, definition }) => ({
    name,
    description,
    inputSchema: parameters,
    ...outputSchemaOf(definition),
    ...annotationsOf(definition),
  }),
  gemini: ({ name, description, parameters }) => ({ name, description, parametersJsonSchema: parameters }),
};

/** Tools as an API of this format wants them, one for each and in their order, under names by which they are called. */
export async function exportTools(
  context: Pick<ToolsContext, 'database'>,
  userId: string | null,
  tools: readonly Tool[],
  format: ToolFormat,
): Promise<JsonObject[]> {
  const names = await exportNames(context.database, userId, tools, format);
  const nextTurn = takeTurns();
  const exported: JsonObject[] = [];
  for (const tool of tools) {
    await nextTurn();
    const definition = JSON.parse(tool.definition) as JsonObject;
    exported.push(
      SHAPES[format]({
        name: names.get(tool.id) ?? tool.name,
        description: String(definition.description),
        parameters: objectSchema(definition.parameters as JsonObject),
        definition,
      }),
    );
  }
  return exported;
}

/** The APIs want it said that arguments are an object, and which they are. */
function objectSchema(parameters: JsonObject): JsonObject {
  return { type: 'object', properties: {}, ...parameters };
}

/** MCP takes the schema of an object alone. */
function outputSchemaOf({ output_schema: schema }: JsonObject): JsonObject {
  return isJsonObject(schema) && getOwn(schema, 'type') === 'object' ? { outputSchema: schema } : {};
}

/** Our annotations and MCP's. */
export const HINTS = [
  ['read_only', 'readOnlyHint'],
  ['destructive', 'destructiveHint'],
  ['idempotent', 'idempotentHint'],
  ['open_world', 'openWorldHint'],
] as const;

function annotationsOf({ annotations }: JsonObject): JsonObject {
  if (!isJsonObject(annotations)) return {};
  const hints: [string, JsonValue][] = [];
  for (const [ours, theirs] of HINTS) {
    const value = getOwn(annotations, ours);
    if (typeof value === 'boolean') hints.push([theirs, value]);
  }
  return hints.length === 0 ? {} : { annotations: Object.fromEntries(hints) };
}

import type { JsonObject } from '../json.ts';

/** What kinds of tool there are for a reader; how a tool runs is in its definition. */
export const toolTypes = ['standard', 'mcp'] as const;
export type ToolType = (typeof toolTypes)[number];

/** What stands in the place of a secret wherever a definition is shown, and keeps the stored one where it is written. */
export const SECRET_MASK = '********';

/**
 * A registered tool. `definition` is JSON text with its secrets masked and without the pointer of an internal function;
 * it stays text because most readers hand it on as it is.
 */
export interface Tool {
  readonly id: string;
  readonly name: string;
  readonly toolType: ToolType;
  readonly definition: string;
  /** Null for a system tool. */
  readonly ownerId: string | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  /** Counts the changes of the tool, from 1. */
  readonly revision: number;
  /** The internal function that a system tool runs: for administrators and for execution. */
  readonly pointer: string | null;
  /** The fixed pointer of a tool that the service installs itself. */
  readonly builtin: string | null;
}

/** A strong entity tag (RFC 9110, section 8.8.3): it changes with every change of the tool. */
export function etagOf(tool: Pick<Tool, 'revision'>): string {
  return `"${tool.revision}"`;
}

/**
 * The definition as its reader may see it, as JSON text: for an administrator with the pointer, and for others, of a
 * system tool, without its hidden parameters.
 */
export function definitionText(tool: Tool, reader: { showPointer: boolean }): string {
  if (reader.showPointer) return tool.pointer === null ? tool.definition : withPointer(tool);
  // Parsing is dear, and few tools have any.
  if (tool.ownerId !== null || !tool.definition.includes('"hidden":')) return tool.definition;
  return JSON.stringify(withoutHidden(tool));
}

/** The definition as models get it: under the tool's own name, whatever name was stored, without hidden parameters. */
export function modelDefinition(tool: Pick<Tool, 'name' | 'definition'>): JsonObject {
  return { ...withoutHidden(tool), name: tool.name };
}

function withPointer({ definition: text, pointer }: Tool): string {
  const definition = JSON.parse(text) as JsonObject & { execution: JsonObject };
  return JSON.stringify({ ...definition, execution: { ...definition.execution, pointer } });
}

function withoutHidden(tool: Pick<Tool, 'definition'>): JsonObject {
  const { hidden, ...definition } = JSON.parse(tool.definition) as JsonObject;
  return definition;
}

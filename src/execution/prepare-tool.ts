import type { JsonObject } from '../json.ts';
import { type CompiledSchema, compileSchema } from '../json-schema/compile-schema.ts';
import type { Annotations, HiddenParameters, WebhookExecution } from '../tools/definition.ts';
import { templateNames } from '../tools/template.ts';
import type { Tool } from '../tools/tool.ts';
import { type HttpCall, prepareRequest } from './webhook/render-request.ts';

/** A tool made ready for many calls: its schemas compiled, its templates parsed. */
export interface PreparedTool {
  readonly parameters: JsonObject;
  readonly argumentsSchema: CompiledSchema;
  readonly outputSchema: CompiledSchema | undefined;
  readonly hidden: HiddenParameters;
  readonly applyDefaults: boolean;
  readonly execution: PreparedExecution;
  /** Characters of the definition that it was made of. */
  readonly size: number;
}

export type PreparedExecution = PreparedWebhook | { readonly type: 'internal_function' };

export interface PreparedWebhook {
  readonly type: 'webhook';
  readonly definition: WebhookExecution;
  /** Whether running it twice does no more than running it once. */
  readonly isRepeatable: boolean;
  /** The request for the values of a call. */
  readonly render: (values: JsonObject) => HttpCall;
}

type StoredExecution =
  | WebhookExecution
  | { readonly type: 'internal_function'; readonly apply_defaults?: boolean };

interface StoredDefinition {
  readonly parameters: JsonObject;
  readonly output_schema?: JsonObject | boolean;
  readonly hidden?: HiddenParameters;
  readonly annotations?: Annotations;
  readonly execution: StoredExecution;
}

/** Makes a tool ready. Its definition was checked when it was stored. */
export function prepareTool(tool: Pick<Tool, 'definition'>): PreparedTool {
  const definition = JSON.parse(tool.definition) as StoredDefinition;
  const { parameters, output_schema: outputSchema, hidden = {}, execution } = definition;
  return {
    parameters,
    argumentsSchema: compileSchema(parameters),
    outputSchema: outputSchema === undefined ? undefined : compileSchema(outputSchema),
    hidden,
    applyDefaults: execution.apply_defaults === true,
    execution: prepareExecution(definition),
    size: tool.definition.length,
  };
}

function prepareExecution({ parameters, hidden = {}, annotations, execution }: StoredDefinition) {
  if (execution.type === 'internal_function') return { type: execution.type } as const;
  const isSafe = execution.method === 'GET' || execution.method === 'HEAD';
  return {
    type: execution.type,
    definition: execution,
    isRepeatable: isSafe || annotations?.idempotent === true,
    render: prepareRequest(execution, templateNames({ parameters, hidden })),
  } as const;
}

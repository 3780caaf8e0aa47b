import { z } from 'zod';
import { foldNames, isOneOf } from '../fold-names.ts';
import { getOwn, isJsonObject, type JsonObject, type JsonValue } from '../json.ts';
import { compileSchema, SchemaError } from '../json-schema/compile-schema.ts';
import { findWebhookFault } from './check-webhook.ts';
import type { ToolsContext } from './context.ts';
import { faultAt, must, quoted, shown } from './definition-words.ts';
import { findUnfit } from './find-unfit.ts';
import { applyDefaultsSchema, webhookSchema } from './webhook-definition.ts';

export type { Authentication } from './authentication-definition.ts';
export { isFitText } from './find-unfit.ts';
export type { WebhookExecution } from './webhook-definition.ts';

const MUST_HAVE = "Definition must contain 'name', 'description', and 'parameters' keys.";
const MUST_EXECUTE = "Definition must contain an 'execution' block.";

/** The message for a key that is missing, and the one for a key of another type. */
const expected = (missing: string, wrong: string) => ({
  error: (issue: { input?: unknown }) => (issue.input === undefined ? missing : wrong),
});

const requiredString = (key: string) =>
  z.string(expected(MUST_HAVE, `Definition '${key}' must be a string.`));

const internalFunctionSchema = z
  .looseObject({
    type: z.literal('internal_function'),
    pointer: z.string("Internal function execution requires a 'pointer'."),
    authentication: z.never("Internal functions take no 'authentication'.").optional(),
    apply_defaults: applyDefaultsSchema,
  })
  .meta({ description: 'A function of the service itself; for system tools.' });

const HIDDEN_SOURCE = must('be {"value": …} or {"from": "caller.user_id" or "request.id"}');

const hiddenSchema = z
  .record(
    z.string(),
    z.union(
      [
        z.strictObject({ value: z.custom<JsonValue>((value) => value !== undefined) }, HIDDEN_SOURCE),
        z.strictObject({ from: z.enum(['caller.user_id', 'request.id']) }, HIDDEN_SOURCE),
      ],
      HIDDEN_SOURCE,
    ),
    must('be a JSON object'),
  )
  .meta({
    description: 'Parameters that a model neither sees nor sets: each a constant, or taken from the call.',
  });

const hint = (description: string) => z.boolean(must('be true or false')).optional().meta({ description });

const annotationsSchema = z
  .looseObject(
    {
      read_only: hint('Whether it changes nothing.'),
      destructive: hint('Whether it may change or delete what is there, and not only add to it.'),
      idempotent: hint('Whether calling it again with the same arguments has no further effect.'),
      open_world: hint('Whether it deals with things beyond a closed system.'),
    },
    must('be a JSON object'),
  )
  .meta({
    description: 'What kind of tool it is, as in MCP. A tool that is `idempotent` may be called again.',
  });

/**
 * A tool's definition: what a model is told (`name`, `description`, `parameters`) and how a call runs (`execution`).
 * Keys that are not named here are kept as they are. The one schema for REST, RPC and the OpenAPI document.
 */
export const definitionSchema = z
  .looseObject(
    {
      name: requiredString('name').meta({
        description: "Given out as the tool's own name, whatever is stored.",
      }),
      description: requiredString('description').meta({ description: 'What the tool does, for a model.' }),
      parameters: z
        .record(
          z.string(),
          z.unknown(),
          expected(MUST_HAVE, "Definition 'parameters' must be a JSON object."),
        )
        .meta({ description: 'JSON Schema of the arguments: draft 2020-12, or draft-07 by `$schema`.' }),
      execution: z.discriminatedUnion('type', [webhookSchema, internalFunctionSchema], {
        error: (issue) => {
          if (issue.input === undefined) return MUST_EXECUTE;
          if (!isJsonObject(issue.input)) return "'execution' must be a JSON object.";
          return `Invalid execution type: '${shown(issue.input.type)}'. Must be ${quoted(['webhook'])}.`;
        },
      }),
      hidden: hiddenSchema.optional(),
      annotations: annotationsSchema.optional(),
      output_schema: z
        .union([z.record(z.string(), z.unknown()), z.boolean()], must('be a JSON Schema'))
        .optional()
        .meta({ description: 'JSON Schema of the output.' }),
    },
    'Definition must be a valid JSON object.',
  )
  .meta({ id: 'Definition' });

export type Definition = z.output<typeof definitionSchema>;
export type HiddenParameters = z.output<typeof hiddenSchema>;
export type Annotations = z.output<typeof annotationsSchema>;

/** A definition that may be stored. */
export interface CheckedDefinition {
  readonly definition: JsonObject;
  readonly description: string;
}

/**
 * Checks a definition for a user's tool or a system tool.
 *
 * @returns the definition, or the words for the first thing that is wrong with it.
 */
export function checkDefinition(
  context: Pick<ToolsContext, 'checkUrl' | 'internalFunctions' | 'limits'>,
  input: unknown,
  system: boolean,
): CheckedDefinition | string {
  if (!isJsonObject(input)) return 'Definition must be a valid JSON object.';
  const unfit = findUnfit(input);
  if (unfit) return unfit;
  const bytes = Buffer.byteLength(JSON.stringify(input));
  if (bytes > context.limits.definitionBytes) {
    const limit = `${context.limits.definitionBytes} bytes as JSON (MAX_DEFINITION_BYTES)`;
    return `Definition must have no more than ${limit}; it has ${bytes}.`;
  }
  const parsed = definitionSchema.safeParse(input);
  if (!parsed.success) return parsed.error.issues[0]?.message ?? 'Definition is not valid.';
  // The input itself is stored. It is what was parsed, but for keys named `__proto__`, which the parser passes over.
  const definition = input as JsonObject & Definition;
  return (
    findHiddenFault(definition) ??
    findExecutionFault(context, definition, system) ??
    findParametersFault(input.parameters as JsonObject) ??
    findOutputSchemaFault(definition.output_schema as JsonValue | undefined) ?? {
      definition: input,
      description: definition.description,
    }
  );
}

function findExecutionFault(
  context: Pick<ToolsContext, 'checkUrl' | 'internalFunctions'>,
  definition: Definition,
  system: boolean,
): string | undefined {
  const { execution } = definition;
  switch (execution.type) {
    case 'webhook':
      return findWebhookFault(context, { ...definition, execution });
    case 'internal_function':
      if (!system) return "User-defined tools cannot be of type 'internal_function'.";
      return context.internalFunctions.has(execution.pointer)
        ? undefined
        : `There is no internal function '${shown(execution.pointer)}'.`;
    default:
      return execution satisfies never;
  }
}

function findParametersFault(parameters: JsonObject): string | undefined {
  const type = getOwn(parameters, 'type');
  if (type !== undefined && type !== 'object') {
    return 'Definition \'parameters\' is not a valid JSON Schema of arguments: /type: must be "object".';
  }
  const fault = findSchemaFault(parameters);
  return fault && `Definition 'parameters' is not a valid JSON Schema of arguments: ${fault}`;
}

function findHiddenFault({ parameters, hidden = {} }: Definition): string | undefined {
  const properties = getOwn(parameters, 'properties');
  // Whatever its case: a model could not give such an argument.
  const parameterNames = foldNames(isJsonObject(properties) ? Object.keys(properties) : []);
  const name = Object.keys(hidden).find((name) => name === '__proto__' || isOneOf(parameterNames, name));
  if (name === undefined) return undefined;
  return faultAt(
    ['hidden', name],
    name === '__proto__' ? 'must have another name' : 'must not be a parameter too',
  );
}

function findOutputSchemaFault(schema: JsonValue | undefined): string | undefined {
  const fault = schema === undefined ? undefined : findSchemaFault(schema);
  return fault && `Definition 'output_schema' is not a valid JSON Schema: ${fault}`;
}

function findSchemaFault(schema: JsonValue): string | undefined {
  try {
    compileSchema(schema);
    return undefined;
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
    return error.message;
  }
}

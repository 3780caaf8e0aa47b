import { z } from 'zod';
import { clip } from '../clip.ts';
import { getOwn, isJsonObject, type JsonObject, type JsonValue, jsonTypeOf } from '../json.ts';
import { compileSchema, SchemaError } from '../json-schema/compile-schema.ts';
import type { ToolsContext } from './context.ts';

/**
 * Nesting of a definition, counted in objects and lists. One level of JSON is three of google.protobuf.Struct, of which
 * protobuf's readers in other languages take no more than 100.
 */
const MAX_DEPTH = 30;

/** JSON values in a definition, objects and lists included. */
const MAX_VALUES = 20_000;

const MUST_HAVE = "Definition must contain 'name', 'description', and 'parameters' keys.";
const MUST_EXECUTE = "Definition must contain an 'execution' block.";

/** The message for a key that is missing, and the one for a key of another type. */
const expected = (missing: string, wrong: string) => ({
  error: (issue: { input?: unknown }) => (issue.input === undefined ? missing : wrong),
});

const requiredString = (key: string) =>
  z.string(expected(MUST_HAVE, `Definition '${key}' must be a string.`));

const authenticationSchema = z
  .strictObject(
    {
      type: z.literal('bearer', {
        error: (issue) => `Invalid authentication type: '${shown(issue.input)}'. Must be 'bearer'.`,
      }),
      token: z
        .string("Bearer authentication requires a 'token'.")
        .regex(/^[\x21-\x7e]+$/, "Authentication 'token' must be visible ASCII characters without spaces.")
        .meta({
          description: 'Sent as `Authorization: Bearer …`. Shown as `********`; writing that keeps it.',
        }),
    },
    {
      error: (issue) =>
        issue.code === 'unrecognized_keys'
          ? `Authentication has an unknown key '${shown(issue.keys?.[0])}'.`
          : "'authentication' must be a JSON object.",
    },
  )
  .meta({ description: 'The credential that is sent with the call.' });

const TIMEOUT_RANGE = "Webhook 'timeout_ms' must be a whole number from 100 to 300000.";

const webhookSchema = z.looseObject({
  type: z.literal('webhook'),
  url: z
    .string("Webhook execution requires a 'url'.")
    .min(1, "Webhook execution requires a 'url'.")
    .max(8192, "Webhook 'url' must have no more than 8192 characters.")
    .meta({ description: 'Where the arguments are posted as JSON. Public addresses only.' }),
  authentication: authenticationSchema.optional(),
  timeout_ms: z
    .int(TIMEOUT_RANGE)
    .min(100, TIMEOUT_RANGE)
    .max(300_000, TIMEOUT_RANGE)
    .optional()
    .meta({ description: 'How long a call may take, in milliseconds; EXECUTION_TIMEOUT where left out.' }),
});

const internalFunctionSchema = z
  .looseObject({
    type: z.literal('internal_function'),
    pointer: z.string("Internal function execution requires a 'pointer'."),
    authentication: z.never("Internal functions take no 'authentication'.").optional(),
  })
  .meta({ description: 'A function of the service itself; for system tools.' });

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
          return invalidType(issue.input.type, ['webhook']);
        },
      }),
    },
    'Definition must be a valid JSON object.',
  )
  .meta({ id: 'Definition' });

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
  return (
    findExecutionFault(context, parsed.data.execution, system) ??
    findParametersFault(input.parameters as JsonObject) ?? {
      definition: input,
      description: parsed.data.description,
    }
  );
}

type Execution = z.output<typeof definitionSchema>['execution'];

function findExecutionFault(
  context: Pick<ToolsContext, 'checkUrl' | 'internalFunctions'>,
  execution: Execution,
  system: boolean,
): string | undefined {
  switch (execution.type) {
    case 'webhook': {
      const refusal = context.checkUrl(execution.url);
      return refusal && `Webhook 'url' is not allowed: ${refusal}`;
    }
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
  try {
    compileSchema(parameters);
    return undefined;
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
    return `Definition 'parameters' is not a valid JSON Schema of arguments: ${error.message}`;
  }
}

/** Finds text that cannot be stored or shown everywhere, and nesting that other readers of JSON would refuse. */
function findUnfit(definition: JsonObject): string | undefined {
  const waiting: { value: JsonValue; depth: number }[] = [{ value: definition, depth: 1 }];
  let values = 0;
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { value, depth } = next;
    if (++values > MAX_VALUES) return `Definition must not hold more than ${MAX_VALUES} values.`;
    if (typeof value === 'string') {
      if (!isFitText(value)) return UNFIT_TEXT;
    } else if (typeof value === 'number') {
      // Written as 1e999, say: it would be stored as null.
      if (!Number.isFinite(value)) return 'Definition must not contain numbers beyond the range of a double.';
    } else if (typeof value === 'object' && value !== null) {
      if (depth > MAX_DEPTH) return `Definition must not be nested more than ${MAX_DEPTH} levels deep.`;
      const isList = Array.isArray(value);
      if (isList && value.length > MAX_VALUES)
        return `Definition must not hold more than ${MAX_VALUES} values.`;
      if (!isList && !Object.keys(value).every(isFitText)) return UNFIT_TEXT;
      for (const child of isList ? value : Object.values(value))
        waiting.push({ value: child, depth: depth + 1 });
    }
  }
  return undefined;
}

const UNFIT_TEXT = 'Definition must not contain NUL characters or lone surrogates.';

/** Whether text has neither NUL characters nor lone surrogates: PostgreSQL and UTF-8 cannot carry them. */
export function isFitText(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

function invalidType(type: unknown, allowed: readonly string[]): string {
  return `Invalid execution type: '${shown(type)}'. Must be ${allowed.map((name) => `'${name}'`).join(' or ')}.`;
}

/** A stranger's value within a message: short, whatever it is. */
function shown(value: unknown): string {
  if (typeof value === 'string') return clip(value);
  return typeof value === 'object' && value !== null ? jsonTypeOf(value) : String(value ?? null);
}

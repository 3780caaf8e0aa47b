import { z } from 'zod';
import { clip } from '../clip.ts';
import { type FieldErrors, ServiceError } from '../errors.ts';
import { isJsonObject, jsonTypeOf } from '../json.ts';
import type { ToolsContext } from './context.ts';
import { type CheckedDefinition, checkDefinition, definitionSchema } from './definition.ts';
import { isFitText } from './find-unfit.ts';
import { type ToolType, toolTypes } from './tool.ts';

const REQUIRED = 'This field is required.';
const NOT_NULL = 'This field may not be null.';
const MAX_NAME_CODE_POINTS = 255;

const nameSchema = z
  .string({
    error: ({ input }) =>
      input === undefined ? REQUIRED : input === null ? NOT_NULL : 'Not a valid string.',
  })
  .trim()
  .min(1, 'This field may not be blank.')
  .refine((name) => name.length <= MAX_NAME_CODE_POINTS || [...name].length <= MAX_NAME_CODE_POINTS, {
    error: `Ensure this field has no more than ${MAX_NAME_CODE_POINTS} characters.`,
    abort: true,
  })
  .refine(isFitText, 'Null characters and lone surrogates are not allowed.')
  .meta({
    description: 'Unique among the tools of its owner; surrounding space is dropped.',
    maxLength: 255,
  });

const toolTypeSchema = z.enum(toolTypes, {
  error: ({ input }) =>
    input === null
      ? NOT_NULL
      : `"${typeof input === 'object' ? jsonTypeOf(input) : clip(String(input))}" is not a valid choice.`,
});

/** What a caller may write of a tool. Everything else in the input is ignored. */
export const toolInputSchema = z
  .object({
    name: nameSchema,
    tool_type: toolTypeSchema.default('standard'),
    definition: definitionSchema,
    is_system_tool: z
      .boolean()
      .optional()
      .meta({ description: 'True makes a system tool; heeded from administrators, on creation.' }),
  })
  .meta({ id: 'ToolInput' });

/** The checked fields of an input; those that it did not have are missing. */
export interface ToolChange {
  readonly name?: string;
  readonly toolType?: ToolType;
  readonly checked?: CheckedDefinition;
}

/** As `ToolChange`, where name and definition must be there. */
export type NewTool = ToolChange & Required<Pick<ToolChange, 'name' | 'checked'>>;

type CheckContext = Pick<ToolsContext, 'checkUrl' | 'internalFunctions' | 'limits'>;

/** Checks the input of a creation or a whole replacement. @throws ServiceError `invalid_argument` with each field's fault. */
export function checkNewTool(context: CheckContext, input: unknown, system: boolean): NewTool {
  return check(context, input, system, { partial: false }) as NewTool;
}

/** As `checkNewTool`, for a change that leaves the fields it does not name as they are. */
export function checkToolChange(context: CheckContext, input: unknown, system: boolean): ToolChange {
  return check(context, input, system, { partial: true });
}

function check(
  context: CheckContext,
  input: unknown,
  system: boolean,
  { partial }: { partial: boolean },
): ToolChange {
  if (!isJsonObject(input)) throw notADictionary(input);
  const errors: FieldErrors = {};
  const change: { -readonly [K in keyof ToolChange]: ToolChange[K] } = {};

  if (!partial || Object.hasOwn(input, 'name')) {
    const name = nameSchema.safeParse(input.name);
    if (name.success) change.name = name.data;
    else errors.name = [name.error.issues[0]?.message ?? REQUIRED];
  }
  if (Object.hasOwn(input, 'tool_type')) {
    const toolType = toolTypeSchema.safeParse(input.tool_type);
    if (toolType.success) change.toolType = toolType.data;
    else errors.tool_type = [toolType.error.issues[0]?.message ?? REQUIRED];
  }
  if (!partial || Object.hasOwn(input, 'definition')) {
    const checked =
      input.definition === undefined ? REQUIRED : checkDefinition(context, input.definition, system);
    if (typeof checked === 'string') errors.definition = [checked];
    else change.checked = checked;
  }
  if (Object.keys(errors).length > 0) throw invalid(errors);
  return change;
}

/** An input is no object. The types have the names that they had in the service which this one replaces. */
export function notADictionary(input: unknown): ServiceError {
  const names: Readonly<Record<string, string>> = {
    array: 'list',
    string: 'str',
    boolean: 'bool',
    null: 'NoneType',
    number: Number.isInteger(input) ? 'int' : 'float',
  };
  const got = names[jsonTypeOf(input)];
  return invalid({ non_field_errors: [`Invalid data. Expected a dictionary, but got ${got}.`] });
}

function invalid(fields: FieldErrors): ServiceError {
  const words = Object.entries(fields).map(([field, messages]) => `${field}: ${messages.join(' ')}`);
  return new ServiceError('invalid_argument', words.join(' '), { fields });
}

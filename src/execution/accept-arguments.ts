import { getOwn, type JsonObject, type JsonValue } from '../json.ts';
import { applyDefaults, TooManyDefaults } from '../json-schema/apply-defaults.ts';
import { CallError, type CallScope } from './call.ts';
import { checkArguments } from './check-arguments.ts';
import type { PreparedTool } from './prepare-tool.ts';

type HiddenScope = Pick<CallScope, 'caller' | 'requestId'>;

/**
 * Makes of a model's arguments what the tool runs with: checked, with defaults where the tool asks for them, and with
 * its hidden parameters, which a model can neither see nor set.
 *
 * @throws CallError `invalid_arguments`, or `permission_denied` where the tool needs a user and the call has none.
 */
export function acceptArguments(tool: PreparedTool, input: JsonObject, scope: HiddenScope): JsonObject {
  const names = Object.keys(tool.hidden);
  const set = names.find((name) => Object.hasOwn(input, name));
  if (set !== undefined) {
    throw new CallError(
      'invalid_arguments',
      `Invalid arguments. /${set}: must not be given. Correct them and call again.`,
      {
        mayHaveRun: false,
      },
    );
  }
  const filled = tool.applyDefaults ? withDefaults(tool.parameters, input) : input;
  checkArguments(tool.argumentsSchema, filled);
  if (names.length === 0) return filled;
  return { ...filled, ...Object.fromEntries(names.map((name) => [name, hiddenValue(tool, name, scope)])) };
}

function withDefaults(parameters: JsonObject, input: JsonObject): JsonObject {
  try {
    return applyDefaults(parameters, input);
  } catch (error) {
    if (!(error instanceof TooManyDefaults)) throw error;
    throw new CallError('invalid_arguments', `Invalid arguments. ${error.message}`, { mayHaveRun: false });
  }
}

function hiddenValue({ hidden }: PreparedTool, name: string, { caller, requestId }: HiddenScope): JsonValue {
  const source = getOwn(hidden, name);
  if (source === undefined) return null;
  if ('value' in source) return source.value;
  switch (source.from) {
    case 'caller.user_id':
      if (caller.userId !== null) return caller.userId;
      throw new CallError('permission_denied', 'This tool runs for a user, and the call is for none.', {
        mayHaveRun: false,
      });
    case 'request.id':
      return requestId;
    default:
      return source.from satisfies never;
  }
}

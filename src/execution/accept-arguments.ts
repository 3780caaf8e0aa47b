import { clip } from '../clip.ts';
import { foldNames, isOneOfQuery } from '../fold-names.ts';
import { getOwn, type JsonObject, type JsonValue } from '../json.ts';
import { applyDefaults, TooManyDefaults } from '../json-schema/apply-defaults.ts';
import { escapeToken } from '../json-schema/json-pointer.ts';
import { CallError, type CallScope } from './call.ts';
import { checkArguments, findUnfit, invalidArguments } from './check-arguments.ts';
import type { PreparedTool } from './prepare-tool.ts';

type HiddenScope = Pick<CallScope, 'caller' | 'requestId'>;

/**
 * Makes of a model's arguments what the tool runs with: checked, with defaults where the tool asks for them, and with
 * its hidden parameters, which a model can neither see nor set, in whatever case.
 *
 * @param unfit what `findUnfit` says of the arguments, null for nothing; asked here where it is left out.
 * @throws CallError `invalid_arguments`, or `permission_denied` where the tool needs a user and the call has none.
 */
export function acceptArguments(
  tool: PreparedTool,
  input: JsonObject,
  scope: HiddenScope,
  unfit: string | null = findUnfit(input) ?? null,
): JsonObject {
  if (unfit !== null) throw invalidArguments(unfit);
  const names = Object.keys(tool.hidden);
  const set = findSet(names, input);
  if (set !== undefined) throw invalidArguments(`/${escapeToken(clip(set))}: must not be given`);
  const filled = tool.applyDefaults ? withDefaults(tool.parameters, input) : input;
  checkArguments(tool.argumentsSchema, filled);
  if (names.length === 0) return filled;
  return { ...filled, ...Object.fromEntries(names.map((name) => [name, hiddenValue(tool, name, scope)])) };
}

/** An argument that its reader could take for a hidden parameter, or for a part of one, as `a[]` is in a query. */
function findSet(names: readonly string[], input: JsonObject): string | undefined {
  if (names.length === 0) return undefined;
  const folded = foldNames(names);
  return Object.keys(input).find((name) => isOneOfQuery(folded, name));
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

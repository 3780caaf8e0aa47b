import { isDeepStrictEqual } from 'node:util';
import { type Caller, isAdministrator } from '../caller.ts';
import { type ErrorCode, ServiceError } from '../errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../json.ts';
import { takeTurns } from '../take-turns.ts';
import { requireUser } from './access.ts';
import type { ToolsContext } from './context.ts';
import { createTool } from './create-tool.ts';
import { splitSecrets } from './credentials.ts';
import type { Candidate, ImportOptions } from './formats/candidate.ts';
import { readDocument } from './formats/read-document.ts';
import { openSecrets } from './seal-definition.ts';
import { definitionText, type Tool } from './tool.ts';
import { checkNewTool } from './tool-input.ts';
import { findSecrets, findToolsByNames } from './tool-store.ts';
import { updateTool } from './update-tool.ts';

/** What became of one tool of a document. */
export interface ImportResult {
  readonly name: string;
  /** Null where none was made. */
  readonly id: string | null;
  readonly status: 'created' | 'updated' | 'unchanged' | 'refused';
  /** Why it was refused. */
  readonly errors: readonly string[];
  /** What was left out or done otherwise than the document says. */
  readonly notes: readonly string[];
}

/** Refusals of one tool. Any other ends the import, as it would be the next tool's as well. */
const REFUSALS_OF_ONE: ReadonlySet<ErrorCode> = new Set([
  'invalid_argument',
  'already_exists',
  'not_found',
  'failed_precondition',
  'aborted',
]);

/**
 * Registers the tools that a document describes, each for itself: one that is refused does not touch the others. A tool
 * that is there under the same name is changed, and left alone where nothing differs.
 *
 * @param options.isSystem makes system tools; heeded from administrators.
 * @param options.signal ends the import when it aborts, between two tools.
 * @returns a result for each tool, in the document's order.
 * @throws ServiceError `invalid_argument` for a document of an unknown kind, or with too many tools. After some tools are
 * registered, which a second import leaves alone: `unavailable`, `permission_denied` when the user is deleted, `canceled`.
 */
export async function importTools(
  context: ToolsContext,
  caller: Caller,
  document: JsonValue | undefined,
  options: ImportOptions & {
    readonly isSystem?: boolean | undefined;
    readonly signal?: AbortSignal | undefined;
  } = {},
): Promise<ImportResult[]> {
  const ownerId = options.isSystem && isAdministrator(caller) ? null : requireUser(caller);
  const nextTurn = takeTurns();
  const results: ImportResult[] = [];
  const names = new Set<string>();
  for (const candidate of await readDocument(document, options, context.limits.definitionBytes)) {
    await nextTurn();
    if (options.signal?.aborted) throw new ServiceError('canceled', 'The import was canceled.');
    const name = candidate.name.trim();
    const isSecond = candidate.errors === undefined && names.has(name);
    if (candidate.errors === undefined) names.add(name);
    results.push(
      isSecond
        ? refused(name, ['The document has another tool of this name before it.'])
        : await importTool(context, caller, ownerId, candidate),
    );
  }
  return results;
}

async function importTool(
  context: ToolsContext,
  caller: Caller,
  ownerId: string | null,
  candidate: Candidate,
): Promise<ImportResult> {
  if (candidate.errors !== undefined) return refused(candidate.name, candidate.errors);
  const name = candidate.name.trim();
  try {
    const found = await findToolsByNames(context.database, [name], ownerId);
    const existing = found.find((tool) => tool.ownerId === ownerId);
    const { definition, notes } = withCredential(candidate, existing);
    const input = {
      name,
      tool_type: candidate.toolType,
      definition,
      is_system_tool: ownerId === null,
    };
    const done = (status: ImportResult['status'], { id }: Tool) => ({ name, id, status, errors: [], notes });
    if (!existing) return done('created', await createTool(context, caller, input));
    if (await isSame(context, existing, input)) return done('unchanged', existing);
    const update = { mode: 'replace', expected: undefined } as const;
    return done('updated', await updateTool(context, caller, existing.id, input, update));
  } catch (error) {
    if (!(error instanceof ServiceError) || !REFUSALS_OF_ONE.has(error.code)) throw error;
    return refused(name, error.fields ? Object.values(error.fields).flat() : [error.message]);
  }
}

function refused(name: string, errors: readonly string[]): ImportResult {
  return { name, id: null, status: 'refused', errors, notes: [] };
}

/** The definition with the credential that the tool has from before, where the document asks for one of its type. */
function withCredential(
  { definition, missing, notes }: Extract<Candidate, { definition: JsonObject }>,
  existing: Tool | undefined,
): { definition: JsonObject; notes: readonly string[] } {
  if (!missing) return { definition, notes };
  const stored = existing ? (JSON.parse(existing.definition) as JsonObject) : {};
  const kept = isJsonObject(stored.execution) ? stored.execution.authentication : undefined;
  if (!isJsonObject(kept) || kept.type !== missing.authentication.type) {
    return { definition, notes: [missing.note, ...notes] };
  }
  const execution = definition.execution as JsonObject;
  const authentication = { ...kept, ...missing.authentication };
  return { definition: { ...definition, execution: { ...execution, authentication } }, notes };
}

/** Whether a tool is what the input says already, its secrets included. */
async function isSame(
  context: ToolsContext,
  tool: Tool,
  input: { readonly name: string; readonly tool_type: string; readonly definition: JsonObject },
): Promise<boolean> {
  const { checked } = checkNewTool(context, input, tool.ownerId === null);
  if (tool.toolType !== input.tool_type) return false;
  const { definition, secrets, kept } = splitSecrets(checked.definition);
  const stored: unknown = JSON.parse(definitionText(tool, { showPointer: true }));
  if (!isDeepStrictEqual(stored, definition)) return false;
  const old = openSecrets(context, tool.id, await findSecrets(context.database, tool.id));
  const places = [...Object.keys(secrets), ...kept];
  return (
    places.length === Object.keys(old).length &&
    places.every(
      (place) => Object.hasOwn(old, place) && (kept.includes(place) || secrets[place] === old[place]),
    )
  );
}

import { clip } from '../clip.ts';
import type { Tool } from '../tools/tool.ts';
import { findRevision } from '../tools/tool-store.ts';
import { CallError, type CallScope } from './call.ts';
import type { ExecutionContext } from './context.ts';

/** A call whose tool was found. */
export interface ResolvedScope extends CallScope {
  readonly resolved: {
    /** The name that the call used. */
    readonly as: string;
    /** When the database was last asked for the tool, by the clock of `performance.now()`. */
    at: number;
  };
}

/** How long what the database said of a tool is believed, in milliseconds: most calls are sent before. */
const BELIEVED_MS = 50;

export function isSeenLately({ resolved }: Pick<ResolvedScope, 'resolved'>): boolean {
  return performance.now() - resolved.at <= BELIEVED_MS;
}

/**
 * Makes sure that a call that waited would find the same tool again: its deletion, each change of it and the deletion of
 * its user take effect at once, whichever replica made them. What was read for it before the wait, its credential too,
 * still holds then.
 *
 * @throws CallError `tool_not_found` where that is not so, `internal` where the database does not say.
 */
export async function confirmTool(
  { database, logFault }: Pick<ExecutionContext, 'database' | 'logFault'>,
  tool: Tool,
  { caller, requestId, resolved }: Pick<ResolvedScope, 'caller' | 'requestId' | 'resolved'>,
): Promise<void> {
  const at = performance.now();
  let revision: number | undefined;
  try {
    // As a new request: whose token says so must not be deleted, and services answer for their users themselves.
    revision = await findRevision(database, tool.id, caller.kind === 'user' ? caller.userId : null);
  } catch (cause) {
    logFault(cause, { requestId, toolId: tool.id });
    throw new CallError('internal', 'The tool cannot be looked up now. Call it again later.', {
      cause,
      mayHaveRun: false,
    });
  }
  if (revision === undefined) throw refusal(toolNotFoundWords(resolved.as));
  // Its arguments were checked, and its request made, by the definition that was.
  if (revision !== tool.revision) throw refusal('The tool was changed while the call waited. Call it again.');
  resolved.at = at;
}

/** What a model is told of a name that means no tool of its user's. */
export function toolNotFoundWords(name: string): string {
  return `There is no tool named "${clip(name, 100)}". Call one of the tools that you were given, by its exact name.`;
}

function refusal(words: string): CallError {
  return new CallError('tool_not_found', words, { mayHaveRun: false });
}

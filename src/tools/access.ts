import { type Caller, isAdministrator } from '../caller.ts';
import { ServiceError } from '../errors.ts';
import type { ToolsContext } from './context.ts';
import { etagOf, type Tool } from './tool.ts';
import { findTool } from './tool-store.ts';

/** The same for another's tool and for none, to the byte: nobody learns which ids exist. */
export function toolNotFound(): ServiceError {
  return new ServiceError('not_found', 'Tool not found or you do not have permission to access it.');
}

/** The user for whom a tool is made or changed. @throws ServiceError `invalid_argument` when there is none. */
export function requireUser(caller: Caller): string {
  if (caller.userId === null) throw new ServiceError('invalid_argument', 'user_id must name a user.');
  return caller.userId;
}

/**
 * The tool of this id, if the caller may see it: their own, or a system tool.
 *
 * @throws ServiceError `not_found`
 */
export async function getTool(
  context: Pick<ToolsContext, 'database'>,
  caller: Caller,
  id: string,
): Promise<Tool> {
  const tool = await findTool(context.database, id, caller.userId);
  if (!tool) throw toolNotFound();
  return tool;
}

/**
 * The tool of this id, if the caller may change it: their own, or a system tool for an administrator. It may be another by
 * the time that it is changed: `changeTool` looks again.
 *
 * @param expected what `If-Match` or an `etag` field asks for; undefined where the caller does not ask.
 * @throws ServiceError `not_found`, `permission_denied`, or `aborted` when the tool is not what was expected.
 */
export async function getToolToChange(
  context: Pick<ToolsContext, 'database'>,
  caller: Caller,
  id: string,
  expected: ExpectedEtag | undefined,
): Promise<Tool> {
  const tool = await getTool(context, caller, id);
  checkMayChange(caller, tool, expected);
  return tool;
}

/** Whether the caller may change a tool that they may see. @throws as `getToolToChange` */
export function checkMayChange(caller: Caller, tool: Tool, expected: ExpectedEtag | undefined): void {
  if (tool.ownerId === null && !isAdministrator(caller)) {
    throw new ServiceError('permission_denied', 'You do not have permission to perform this action.');
  }
  if (expected && expected !== '*' && !expected.includes(etagOf(tool))) throw changedMeanwhile();
}

/** The entity tags of which one must be the tool's, or `*` for any. */
export type ExpectedEtag = '*' | readonly string[];

/** The tool is no longer what the caller has seen. */
function changedMeanwhile(): ServiceError {
  return new ServiceError('aborted', 'The tool was changed meanwhile: its ETag is another. Read it again.');
}

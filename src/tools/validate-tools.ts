import { ServiceError } from '../errors.ts';
import type { ToolsContext } from './context.ts';
import type { Tool } from './tool.ts';
import { countTools, findTools } from './tool-store.ts';

type ReadContext = Pick<ToolsContext, 'database'>;

/**
 * Resolves when each of these tools is the user's own or a system tool; no ids at all count as that.
 *
 * @throws ServiceError `permission_denied`
 */
export async function validateTools(
  context: ReadContext,
  userId: string | null,
  ids: readonly string[],
): Promise<void> {
  if (ids.length === 0) return;
  const distinct = new Set(ids);
  if ((await countTools(context.database, [...distinct], userId)) === distinct.size) return;
  throw new ServiceError(
    'permission_denied',
    'One or more tool IDs are invalid or you do not have permission to use them.',
  );
}

/**
 * The user's own and system tools of these ids, one for each id asked and in that order.
 *
 * @throws ServiceError `not_found` when there is one that the user may not use.
 */
export async function getTools(
  context: ReadContext,
  userId: string | null,
  ids: readonly string[],
): Promise<Tool[]> {
  if (ids.length === 0) return [];
  const found = new Map((await findTools(context.database, ids, userId)).map((tool) => [tool.id, tool]));
  return ids.map((id) => {
    const tool = found.get(id);
    if (tool) return tool;
    throw new ServiceError(
      'not_found',
      'Could not find all requested tools or permission denied for one or more tools.',
    );
  });
}

import { ServiceError } from '../errors.ts';
import type { ToolsContext } from './context.ts';
import type { Tool } from './tool.ts';
import { countTools, findTools } from './tool-store.ts';

type ReadContext = Pick<ToolsContext, 'database'>;

/** Tools read in one go. */
const SLICE = 100;

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
 * @throws ServiceError `not_found` when there is one that the user may not use, `invalid_argument` when the definitions
 * together are larger than allowed.
 */
export async function getTools(
  context: Pick<ToolsContext, 'database' | 'limits'>,
  userId: string | null,
  ids: readonly string[],
): Promise<Tool[]> {
  if (ids.length === 0) return [];
  const { answerBytes } = context.limits;
  const found = new Map<string, Tool>();
  const tools: Tool[] = [];
  let bytes = 0;
  for (let start = 0; start < ids.length; start += SLICE) {
    const slice = ids.slice(start, start + SLICE);
    const unknown = slice.filter((id) => !found.has(id));
    for (const tool of await findTools(context.database, unknown, userId)) found.set(tool.id, tool);
    for (const id of slice) {
      const tool = found.get(id);
      if (!tool) throw notAllFound();
      tools.push(tool);
      bytes += tool.definition.length;
    }
    if (bytes > answerBytes) {
      throw new ServiceError(
        'invalid_argument',
        `The definitions asked for have more than ${answerBytes} bytes (MAX_ANSWER_BYTES). Ask for fewer at once.`,
      );
    }
  }
  return tools;
}

function notAllFound(): ServiceError {
  return new ServiceError(
    'not_found',
    'Could not find all requested tools or permission denied for one or more tools.',
  );
}

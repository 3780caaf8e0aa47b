import type { FastifyInstance } from 'fastify';
import { ServiceError } from '../../errors.ts';
import { isJsonObject } from '../../json.ts';
import type { ToolsContext } from '../../tools/context.ts';
import { validateTools } from '../../tools/validate-tools.ts';
import { parseUuid } from '../../uuid.ts';
import { HttpError } from './errors.ts';
import { userOf } from './guard.ts';
import { readJson } from './json-body.ts';

/** Whether the caller may use some tools; the twin of the RPC ValidateTools. Its errors have a key of their own. */
export function registerValidateRoute(
  app: FastifyInstance,
  context: Pick<ToolsContext, 'database'>,
  maxIds: number,
): void {
  app.post('/ms7/internal/v1/tools/validate/', async (request, reply) => {
    const { userId } = userOf(request);
    const ids = readIds(readJson(request), maxIds);
    try {
      await validateTools(context, userId, ids);
    } catch (error) {
      if (error instanceof ServiceError && error.code === 'permission_denied') {
        throw new HttpError(403, { error: error.message });
      }
      throw error;
    }
    return reply.code(204).send();
  });
}

function readIds(body: unknown, maxIds: number): string[] {
  if (body === undefined || (Array.isArray(body) && body.length === 0)) return [];
  const given = isJsonObject(body) ? (Object.hasOwn(body, 'tool_ids') ? body.tool_ids : []) : undefined;
  if (!Array.isArray(given)) throw new HttpError(400, { error: "'tool_ids' must be a list." });
  if (given.length > maxIds) {
    throw new HttpError(400, {
      error: `'tool_ids' must have no more than ${maxIds} entries (MAX_TOOL_IDS_PER_REQUEST).`,
    });
  }
  return given.map((value) => {
    const id = parseUuid(value);
    if (id === undefined) throw new HttpError(400, { error: 'One or more tool IDs are not valid UUIDs.' });
    return id;
  });
}

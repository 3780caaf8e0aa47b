import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type ExpectedEtag, getTool, getToolToChange, toolNotFound } from '../../tools/access.ts';
import type { ToolsContext } from '../../tools/context.ts';
import { createTool } from '../../tools/create-tool.ts';
import { deleteTool } from '../../tools/delete-tool.ts';
import { exportTools } from '../../tools/formats/export-tools.ts';
import { readFormat } from '../../tools/formats/format.ts';
import { listTools } from '../../tools/list-tools.ts';
import { definitionText, etagOf, type Tool, toolTypes } from '../../tools/tool.ts';
import { updateTool } from '../../tools/update-tool.ts';
import { parsePathUuid } from '../../uuid.ts';
import { type User, userOf } from './guard.ts';
import { readInput } from './json-body.ts';
import { choiceOf, type ListQuery, limitOf, linkNextPage, single } from './list-query.ts';

export const TOOLS_PATH = '/ms7/api/v1/tools/';
const JSON_TYPE = 'application/json; charset=utf-8';

interface ToolRoute {
  Params: { id: string };
}

/** The registry as a REST resource. Its routes run behind a hook that has let a user in. */
export function registerToolsRoutes(app: FastifyInstance, context: ToolsContext): void {
  /** Before the body is read: whether the tool is there, may be changed, and is the one that the caller means. */
  const checkChange = async (request: FastifyRequest) => {
    await getToolToChange(context, userOf(request), toolId(request as IdRequest), ifMatch(request));
  };
  type IdRequest = FastifyRequest<ToolRoute>;

  app.get<{ Querystring: ListQuery }>(TOOLS_PATH, async (request, reply) => {
    const user = userOf(request);
    const { query } = request;
    const asked = single(query, 'format');
    const format = asked === undefined ? undefined : readFormat(asked);
    const { tools, nextCursor } = await listTools(context, user, {
      limit: limitOf(query),
      cursor: single(query, 'cursor'),
      search: single(query, 'search'),
      toolType: choiceOf(query, 'tool_type', toolTypes),
    });
    linkNextPage(reply, TOOLS_PATH, query, nextCursor);
    if (format !== undefined) return exportTools(context, user.userId, tools, format);
    return reply.type(JSON_TYPE).send(`[${tools.map((tool) => toolText(tool, user)).join(',')}]`);
  });

  app.post(TOOLS_PATH, async (request, reply) => {
    const user = userOf(request);
    const tool = await createTool(context, user, readInput(request));
    return reply
      .code(201)
      .headers({ Location: `${TOOLS_PATH}${tool.id}/`, ETag: etagOf(tool) })
      .type(JSON_TYPE)
      .send(toolText(tool, user));
  });

  app.get<ToolRoute>(`${TOOLS_PATH}:id/`, async (request, reply) => {
    const user = userOf(request);
    const tool = await getTool(context, user, toolId(request));
    const etag = etagOf(tool);
    reply.header('ETag', etag);
    const seen = parseEtags(request.headers['if-none-match'], { weak: true });
    if (seen === '*' || seen?.includes(etag)) return reply.code(304).send();
    return reply.type(JSON_TYPE).send(toolText(tool, user));
  });

  for (const method of ['PUT', 'PATCH'] as const) {
    app.route<ToolRoute>({
      method,
      url: `${TOOLS_PATH}:id/`,
      onRequest: checkChange,
      handler: async (request, reply) => {
        const user = userOf(request);
        const tool = await updateTool(context, user, toolId(request), readInput(request), {
          mode: method === 'PUT' ? 'replace' : 'merge',
          expected: ifMatch(request),
        });
        return reply.header('ETag', etagOf(tool)).type(JSON_TYPE).send(toolText(tool, user));
      },
    });
  }

  app.delete<ToolRoute>(`${TOOLS_PATH}:id/`, { onRequest: checkChange }, async (request, reply) => {
    await deleteTool(context, userOf(request), toolId(request), ifMatch(request));
    return reply.code(204).send();
  });
}

/** Tools as users see them. The store hands out the same object as long as a tool does not change. */
const texts = new WeakMap<Tool, string>();

/** A tool as its reader may see it, as JSON. */
function toolText(tool: Tool, reader: User): string {
  if (reader.isStaff) return writeTool(tool, reader);
  const known = texts.get(tool);
  if (known !== undefined) return known;
  const text = writeTool(tool, reader);
  texts.set(tool, text);
  return text;
}

/** The definition is JSON text already and goes out as it is. */
function writeTool(tool: Tool, reader: User): string {
  const owner = tool.ownerId === null ? 'null' : `"${tool.ownerId}"`;
  return (
    `{"id":"${tool.id}","name":${JSON.stringify(tool.name)},"tool_type":"${tool.toolType}",` +
    `"definition":${definitionText(tool, { showPointer: reader.isStaff })},` +
    `"is_system_tool":${tool.ownerId === null},"owner_id":${owner},` +
    `"created_at":"${tool.createdAt.toISOString()}","updated_at":"${tool.updatedAt.toISOString()}"}`
  );
}

function toolId(request: FastifyRequest<ToolRoute>): string {
  const id = parsePathUuid(request.params.id);
  if (id === undefined) throw toolNotFound();
  return id;
}

function ifMatch(request: FastifyRequest): ExpectedEtag | undefined {
  return parseEtags(request.headers['if-match'], { weak: false });
}

/** Reads a list of entity tags (RFC 9110, section 8.8.3); weak ones count only where the comparison is weak. */
function parseEtags(header: string | undefined, { weak }: { weak: boolean }): ExpectedEtag | undefined {
  if (header === undefined) return undefined;
  if (header.trim() === '*') return '*';
  return header.split(',').flatMap((part) => {
    const tag = part.trim();
    if (!tag.startsWith('W/')) return [tag];
    return weak ? [tag.slice(2)] : [];
  });
}

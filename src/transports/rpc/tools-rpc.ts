import { create } from '@bufbuild/protobuf';
import { EmptySchema, timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import { type Caller, isAdministrator } from '../../caller.ts';
import { clip } from '../../clip.ts';
import { ServiceError } from '../../errors.ts';
import { type Tool as ToolMessage, ToolSchema, type ToolService } from '../../gen/tool/tool_pb.ts';
import type { JsonObject } from '../../json.ts';
import { getTool, toolNotFound } from '../../tools/access.ts';
import type { ToolsContext } from '../../tools/context.ts';
import { createTool } from '../../tools/create-tool.ts';
import { deleteTool } from '../../tools/delete-tool.ts';
import { exportTools } from '../../tools/formats/export-tools.ts';
import { readFormat } from '../../tools/formats/format.ts';
import { listTools, MAX_PAGE } from '../../tools/list-tools.ts';
import { definitionText, etagOf, modelDefinition, type Tool, toolTypes } from '../../tools/tool.ts';
import { updateTool } from '../../tools/update-tool.ts';
import { getTools, validateTools } from '../../tools/validate-tools.ts';
import { parseUuid } from '../../uuid.ts';
import { callerFor } from './caller.ts';

const INVALID_UUID = 'Invalid UUID format for user_id or tool_ids.';

type ToolsRpcs = Omit<
  ServiceImpl<typeof ToolService>,
  'executeMultipleTools' | 'executeTools' | 'listExecutions'
>;

/** The registry as RPCs. @param maxIds the most tool ids in one request. */
export function createToolsRpcs(context: ToolsContext, maxIds: number) {
  return {
    async validateTools(request, { values }) {
      const { userId, ids } = readIds(callerForIds(values, request.userId), request.toolIds, maxIds);
      await validateTools(context, userId, ids);
      return { authorized: true };
    },

    async getToolDefinitions(request, { values }) {
      const { userId, ids } = readIds(callerForIds(values, request.userId), request.toolIds, maxIds);
      const format = request.format === '' ? undefined : readFormat(request.format);
      const tools = await getTools(context, userId, ids);
      if (format !== undefined) return { definitions: await exportTools(context, userId, tools, format) };
      return { definitions: tools.map(modelDefinition) };
    },

    async listTools(request, { values }) {
      const caller = callerFor(values, request.userId);
      if (request.pageSize < 0) {
        throw new ServiceError('invalid_argument', 'page_size must not be negative.');
      }
      const toolType = toolTypes.find((known) => known === request.toolType);
      if (request.toolType !== '' && !toolType) {
        throw new ServiceError('invalid_argument', `tool_type must be one of ${toolTypes.join(', ')}.`);
      }
      const { tools, nextCursor } = await listTools(context, caller, {
        limit: Math.min(request.pageSize || MAX_PAGE, MAX_PAGE),
        cursor: request.pageToken || undefined,
        search: request.search,
        toolType,
      }).catch(namePageToken);
      return { tools: tools.map((tool) => toMessage(tool, caller)), nextPageToken: nextCursor ?? '' };
    },

    async getTool(request, { values }) {
      const caller = callerFor(values, request.userId);
      return toMessage(await getTool(context, caller, toolId(request.id)), caller);
    },

    async createTool(request, { values }) {
      const caller = callerFor(values, request.userId);
      const tool = request.tool ?? create(ToolSchema);
      const input = { ...setFields(tool), is_system_tool: tool.isSystemTool };
      return toMessage(await createTool(context, caller, input), caller);
    },

    async updateTool(request, { values }) {
      const caller = callerFor(values, request.userId);
      const tool = request.tool ?? create(ToolSchema);
      const paths = request.updateMask?.paths ?? [];
      const updated = await updateTool(context, caller, toolId(tool.id), masked(tool, paths), {
        mode: paths.includes('*') ? 'replace' : 'merge',
        expected: tool.etag === '' ? undefined : [tool.etag],
      });
      return toMessage(updated, caller);
    },

    async deleteTool(request, { values }) {
      const caller = callerFor(values, request.userId);
      await deleteTool(context, caller, toolId(request.id), request.etag === '' ? undefined : [request.etag]);
      return create(EmptySchema);
    },
  } satisfies ToolsRpcs;
}

/** As `callerFor`, in the words that these RPCs have for every id that is none. */
function callerForIds(values: Parameters<typeof callerFor>[0], userId: string): Caller {
  if (userId !== '' && parseUuid(userId) === undefined)
    throw new ServiceError('invalid_argument', INVALID_UUID);
  return callerFor(values, userId);
}

function readIds(
  caller: Caller,
  toolIds: readonly string[],
  maxIds: number,
): { userId: string; ids: string[] } {
  if (caller.userId === null) throw new ServiceError('invalid_argument', INVALID_UUID);
  if (toolIds.length > maxIds) {
    throw new ServiceError(
      'invalid_argument',
      `tool_ids must have no more than ${maxIds} entries (MAX_TOOL_IDS_PER_REQUEST).`,
    );
  }
  const ids = toolIds.map((text) => {
    const id = parseUuid(text);
    if (id === undefined) throw new ServiceError('invalid_argument', INVALID_UUID);
    return id;
  });
  return { userId: caller.userId, ids };
}

/** Refuses a list in the words of this RPC, whose `page_token` is the registry's `cursor`. */
function namePageToken(error: unknown): never {
  const words = error instanceof ServiceError ? error.fields?.cursor?.[0] : undefined;
  throw words === undefined ? error : new ServiceError('invalid_argument', `page_token: ${words}`);
}

function toolId(text: string): string {
  const id = parseUuid(text);
  if (id === undefined) throw toolNotFound();
  return id;
}

/** The fields of a tool that are set, under the names of the registry's input. */
function setFields(tool: ToolMessage): JsonObject {
  return {
    ...(tool.name === '' ? {} : { name: tool.name }),
    ...(tool.toolType === '' ? {} : { tool_type: tool.toolType }),
    ...(tool.definition ? { definition: tool.definition } : {}),
  };
}

/** The fields that an update names (AIP-134): those of the mask, all for `*`, those that are set where there is none. */
function masked(tool: ToolMessage, paths: readonly string[]): JsonObject {
  if (paths.length === 0 || paths.includes('*')) return setFields(tool);
  const input: JsonObject = {};
  for (const path of paths) {
    if (path === 'name') input.name = tool.name;
    else if (path === 'tool_type') input.tool_type = tool.toolType;
    else if (path === 'definition') input.definition = tool.definition ?? null;
    else {
      throw new ServiceError(
        'invalid_argument',
        `update_mask: "${clip(path)}" cannot be changed; name, tool_type and definition can.`,
      );
    }
  }
  return input;
}

function toMessage(tool: Tool, reader: Caller): ToolMessage {
  const definition = JSON.parse(definitionText(tool, { showPointer: isAdministrator(reader) })) as JsonObject;
  return create(ToolSchema, {
    id: tool.id,
    name: tool.name,
    toolType: tool.toolType,
    definition: { ...definition, name: tool.name },
    isSystemTool: tool.ownerId === null,
    ownerId: tool.ownerId ?? '',
    createdAt: timestampFromDate(tool.createdAt),
    updatedAt: timestampFromDate(tool.updatedAt),
    etag: etagOf(tool),
  });
}

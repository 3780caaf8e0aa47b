import type { Database } from '../../db/database.ts';
import { searchTools } from '../../discovery/search-tools.ts';
import type { BuiltinTool } from '../../tools/install-builtin-tools.ts';
import { modelDefinition } from '../../tools/tool.ts';
import { parseUuid } from '../../uuid.ts';
import { CallError, type InternalFunction } from '../call.ts';

export const discoverTool: BuiltinTool = {
  pointer: 'tools.mcp_tools.discovery.discover_contextual_tools',
  name: 'discover_contextual_tools',
  toolType: 'mcp',
  description: 'Find tools that help with a task, by a description of it. Answers with their definitions.',
  parameters: {
    type: 'object',
    properties: {
      query: { type: 'string', maxLength: 4000, description: 'What the tool should do, in a few words.' },
      user_id: { type: 'string', description: 'The user for whom to search: only the one who calls.' },
      tool_ids: {
        type: 'array',
        items: { type: 'string' },
        maxItems: 1000,
        description: 'Give these tools, whatever the query says.',
      },
    },
  },
};

/** Finds tools for whoever calls: their own and the system's, no others. */
export function createDiscoverTools(context: { readonly database: Database }): InternalFunction {
  return async (input, { caller, cancellation }) => {
    const { query = '', user_id: userId = '', tool_ids: toolIds = [] } = input;
    if (userId !== '' && (caller.userId === null || parseUuid(userId) !== caller.userId)) {
      throw new CallError('permission_denied', 'user_id may only name the user who calls. Leave it out.');
    }
    const ids = (toolIds as string[]).map((id) => {
      const parsed = parseUuid(id);
      if (parsed === undefined) throw new CallError('invalid_arguments', 'tool_ids must be UUIDs.');
      return parsed;
    });
    const tools = await searchTools(context, caller, { query: String(query), ids }, cancellation.signal);
    return tools.map(modelDefinition);
  };
}

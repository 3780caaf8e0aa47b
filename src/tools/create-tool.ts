import { randomUUID } from 'node:crypto';
import { type Caller, isAdministrator } from '../caller.ts';
import { invalidField, ServiceError } from '../errors.ts';
import { isJsonObject } from '../json.ts';
import { requireUser } from './access.ts';
import type { ToolsContext } from './context.ts';
import { sealDefinition } from './seal-definition.ts';
import type { Tool } from './tool.ts';
import { insertTool, type ToolRecord } from './tool-change-store.ts';
import { checkNewTool } from './tool-input.ts';
import { countOwnedTools } from './tool-store.ts';

/**
 * Registers a tool for the caller, or a system tool when an administrator says `is_system_tool`.
 *
 * @throws ServiceError `invalid_argument` with each field's fault, `already_exists` when the owner has a tool of that
 * name, `resource_exhausted` when the user owns as many tools as allowed.
 */
export async function createTool(context: ToolsContext, caller: Caller, input: unknown): Promise<Tool> {
  const system = isAdministrator(caller) && isJsonObject(input) && input.is_system_tool === true;
  const ownerId = system ? null : requireUser(caller);
  const { name, toolType = 'standard', checked } = checkNewTool(context, input, system);

  const id = randomUUID();
  const sealed = sealDefinition(context, id, checked.definition, undefined);
  const now = new Date(context.now());
  const record: ToolRecord = {
    id,
    name,
    toolType,
    ownerId,
    createdAt: now,
    updatedAt: now,
    revision: 1,
    builtin: null,
    description: checked.description,
    ...sealed,
  };
  await context.database.transaction(async (transaction) => {
    if (ownerId !== null) {
      const owned = await countOwnedTools(context.database, ownerId, transaction);
      if (owned >= context.limits.toolsPerUser) throw tooManyTools(context.limits.toolsPerUser);
    }
    if (!(await insertTool(context.database, transaction, record))) throw nameTaken(name);
  });
  return record;
}

/** The owner has another tool of that name. */
export function nameTaken(name: string): ServiceError {
  return new ServiceError('already_exists', `A tool named "${name}" already exists.`);
}

function tooManyTools(limit: number): ServiceError {
  return invalidField('non_field_errors', `You may own no more than ${limit} tools (MAX_TOOLS_PER_USER).`);
}

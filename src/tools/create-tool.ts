import { randomUUID } from 'node:crypto';
import { type Caller, isAdministrator } from '../caller.ts';
import { invalidField, ServiceError } from '../errors.ts';
import { recordEvent } from '../events/outbox-store.ts';
import { isJsonObject } from '../json.ts';
import { keepUser } from '../users/deleted-users-store.ts';
import { requireUser } from './access.ts';
import type { ToolsContext } from './context.ts';
import { sealDefinition } from './seal-definition.ts';
import type { Tool } from './tool.ts';
import { insertTool, type ToolRecord } from './tool-change-store.ts';
import { checkNewTool } from './tool-input.ts';
import { countOwnedTools } from './tool-store.ts';

/**
 * Registers a tool for the caller, or a system tool when an administrator says `is_system_tool`, and records
 * `tool.created` with it.
 *
 * @throws ServiceError `invalid_argument` with each field's fault, or when the user owns as many tools as allowed,
 * `already_exists` when the owner has a tool of that name, `permission_denied` when the user is deleted, `unavailable` while
 * the user is being deleted.
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
  const { database, limits } = context;
  // Else another of the owner's that is being made would not be counted. A lock of its own, since those who write anything
  // for the user hold the user's together. It is for other processes: in this one they come in turn, so that an owner's
  // many do not wait for it with a connection each.
  const lock = ownerId === null ? undefined : `tools of user:${ownerId}`;
  await database.transaction(
    async (transaction) => {
      await keepUser(database, transaction, caller.userId);
      if (ownerId !== null && lock !== undefined) {
        await database.lock(transaction, [lock], 'exclusive');
        const owned = await countOwnedTools(database, ownerId, transaction);
        if (owned >= limits.toolsPerUser) throw tooManyTools(limits.toolsPerUser);
      }
      if (!(await insertTool(database, transaction, record))) throw nameTaken(name);
      await recordEvent(database, transaction, { type: 'tool.created', toolId: id }, now.getTime());
    },
    { inTurnOf: lock },
  );
  return record;
}

/** The owner has another tool of that name. */
export function nameTaken(name: string): ServiceError {
  return new ServiceError('already_exists', `A tool named "${name}" already exists.`);
}

function tooManyTools(limit: number): ServiceError {
  return invalidField('non_field_errors', `You may own no more than ${limit} tools (MAX_TOOLS_PER_USER).`);
}

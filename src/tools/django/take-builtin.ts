import type { Transaction } from '../../db/database.ts';
import { recordEvent } from '../../events/outbox-store.ts';
import type { ToolsContext } from '../context.ts';
import type { BuiltinTool } from '../install-builtin-tools.ts';
import { insertTool } from '../tool-change-store.ts';
import { findSecrets } from '../tool-store.ts';
import { type KnownTool, renumberTool } from './moved-tool-store.ts';
import type { OldTool } from './read-row.ts';

/**
 * Makes the old service's id of a built-in tool the tool's id here: agents hold it. A built-in tool that is installed
 * under an id of its own gets the old one, and its own counts as deleted; else it is installed.
 *
 * @returns the tool as it is now; undefined when it cannot be installed, since another system tool bears its name.
 */
export async function takeBuiltin(
  context: ToolsContext,
  transaction: Transaction,
  builtin: BuiltinTool,
  installed: KnownTool | undefined,
  old: OldTool,
): Promise<KnownTool | undefined> {
  const { database, encryption } = context;
  const createdAt = old.createdAt ?? old.updatedAt ?? installed?.createdAt ?? context.now();
  if (installed) {
    // Secrets are encrypted for one id. A built-in tool has some when an administrator made it call a webhook.
    const sealed = await findSecrets(database, installed.id, transaction);
    const secrets =
      sealed === null ? null : encryption.encrypt(encryption.decrypt(sealed, installed.id), old.id);
    await renumberTool(database, transaction, installed.id, { id: old.id, secrets, createdAt });
    await recordEvent(database, transaction, { type: 'tool.deleted', toolId: installed.id }, context.now());
    return { ...installed, id: old.id, createdAt };
  }
  const { pointer, name, toolType, description, parameters } = builtin;
  const execution = { type: 'internal_function' };
  const stored = await insertTool(database, transaction, {
    id: old.id,
    name,
    toolType,
    ownerId: null,
    createdAt: new Date(createdAt),
    updatedAt: new Date(old.updatedAt ?? createdAt),
    revision: 1,
    pointer,
    builtin: pointer,
    secrets: null,
    description,
    definition: JSON.stringify({ name, description, parameters, execution }),
  });
  return stored ? { id: old.id, ownerId: null, revision: 1, builtin: pointer, createdAt } : undefined;
}

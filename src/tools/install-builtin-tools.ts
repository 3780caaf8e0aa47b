import { randomUUID } from 'node:crypto';
import { recordEvent } from '../events/outbox-store.ts';
import type { JsonObject } from '../json.ts';
import type { ToolsContext } from './context.ts';
import type { ToolType } from './tool.ts';
import { insertTool } from './tool-change-store.ts';
import { findBuiltins } from './tool-store.ts';

/** A system tool that comes with the service and runs one of its internal functions. */
export interface BuiltinTool {
  /** The fixed name of the function that it runs; it stays when an administrator renames the tool. */
  readonly pointer: string;
  readonly name: string;
  readonly toolType: ToolType;
  readonly description: string;
  readonly parameters: JsonObject;
}

/**
 * Makes those built-in tools that are not there yet. One that is there is left as it is: an administrator may have
 * changed it.
 *
 * @returns the names that could not be installed, because another system tool bears them.
 */
export async function installBuiltinTools(
  context: Pick<ToolsContext, 'database' | 'now'>,
  builtins: readonly BuiltinTool[],
): Promise<string[]> {
  const { database } = context;
  const installed = await findBuiltins(database);
  const missing = builtins.filter(({ pointer }) => !installed.has(pointer));
  if (missing.length === 0) return [];
  return database.transaction(async (transaction) => {
    const refused: string[] = [];
    // Another process may have been at it.
    const meanwhile = await findBuiltins(database, transaction);
    for (const { pointer, name, toolType, description, parameters } of missing) {
      if (meanwhile.has(pointer)) continue;
      const [id, now] = [randomUUID(), new Date(context.now())];
      const stored = await insertTool(database, transaction, {
        id,
        name,
        toolType,
        ownerId: null,
        createdAt: now,
        updatedAt: now,
        revision: 1,
        pointer,
        builtin: pointer,
        secrets: null,
        description,
        definition: JSON.stringify({
          name,
          description,
          parameters,
          execution: { type: 'internal_function' },
        }),
      });
      if (stored) {
        await recordEvent(database, transaction, { type: 'tool.created', toolId: id }, now.getTime());
        continue;
      }
      // What it met may be the very same, which another process has committed only just now.
      const known = await findBuiltins(database, transaction);
      if (!known.has(pointer)) refused.push(name);
    }
    return refused;
  });
}

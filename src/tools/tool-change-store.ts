import { and, eq } from 'drizzle-orm';
import type { Database, Transaction } from '../db/database.ts';
import { aliasOf } from './alias.ts';
import type { Tool } from './tool.ts';

type ToolRow = Database['tables']['tools']['$inferSelect'];

/** What is stored of a tool: what readers see, its secrets, encrypted, and its description, for searching. */
export type ToolRecord = Tool & Pick<ToolRow, 'secrets' | 'description'>;

/** A change of a tool: what is not in it stays. */
export type ToolChangeRecord = Tool & Partial<Pick<ToolRow, 'secrets' | 'description'>>;

/** Stores a new tool. @returns false, and nothing is stored, when its owner has a tool of that name. */
export async function insertTool(
  database: Database,
  transaction: Transaction,
  record: ToolRecord,
): Promise<boolean> {
  const rows = await transaction
    .insert(database.tables.tools)
    .values(toRow(record))
    .onConflictDoNothing()
    .returning({ id: database.tables.tools.id });
  return rows.length > 0;
}

/**
 * Stores a change of a tool, provided that it still is at the revision before this one.
 *
 * @returns false, and nothing is changed, when it was changed or deleted meanwhile.
 * @throws the database's unique violation when its owner has another tool of that name.
 */
export async function replaceTool(
  database: Database,
  transaction: Transaction,
  record: ToolChangeRecord,
): Promise<boolean> {
  const { tools } = database.tables;
  const rows = await transaction
    .update(tools)
    .set(toRow(record))
    .where(and(eq(tools.id, record.id), eq(tools.revision, record.revision - 1)))
    .returning({ id: tools.id });
  return rows.length > 0;
}

/** Removes a tool. @returns false when it is not at this revision any more. */
export async function removeTool(
  database: Database,
  transaction: Transaction,
  tool: Pick<Tool, 'id' | 'revision'>,
): Promise<boolean> {
  const { tools } = database.tables;
  const rows = await transaction
    .delete(tools)
    .where(and(eq(tools.id, tool.id), eq(tools.revision, tool.revision)))
    .returning({ id: tools.id });
  return rows.length > 0;
}

function toRow<R extends ToolChangeRecord>(record: R) {
  return {
    ...record,
    alias: aliasOf(record.name),
    createdAt: record.createdAt.getTime(),
    updatedAt: record.updatedAt.getTime(),
  };
}

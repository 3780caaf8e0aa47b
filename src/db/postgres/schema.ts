import { sql } from 'drizzle-orm';
import { bigint, index, integer, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core';

// The same tables as in ../sqlite/schema.ts, by the same export names; database.ts has the check that rows are equal.
// Names sort in byte order on both engines: SQLite does so by itself, PostgreSQL by the collation "C" of its migration.

export const tools = pgTable(
  'tools',
  {
    id: text('id').primaryKey(),
    ownerId: text('owner_id'),
    name: text('name').notNull(),
    toolType: text('tool_type', { enum: ['standard', 'mcp'] }).notNull(),
    builtin: text('builtin').unique(),
    pointer: text('pointer'),
    revision: integer('revision').notNull(),
    createdAt: bigint('created_at', { mode: 'number' }).notNull(),
    updatedAt: bigint('updated_at', { mode: 'number' }).notNull(),
    secrets: text('secrets'),
    description: text('description').notNull(),
    definition: text('definition').notNull(),
  },
  (table) => [
    uniqueIndex('tools_owner_name').on(table.ownerId, table.name),
    uniqueIndex('tools_system_name').on(table.name).where(sql`owner_id is null`),
    index('tools_name').on(table.name),
  ],
);

export const outbox = pgTable(
  'outbox',
  {
    sequence: bigint('sequence', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    id: text('id').notNull().unique(),
    type: text('type').notNull(),
    subject: text('subject').notNull(),
    payload: text('payload').notNull(),
    createdAt: bigint('created_at', { mode: 'number' }).notNull(),
    publishedAt: bigint('published_at', { mode: 'number' }),
  },
  (table) => [index('outbox_pending').on(table.sequence).where(sql`published_at is null`)],
);

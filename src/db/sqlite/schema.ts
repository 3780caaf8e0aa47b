import { sql } from 'drizzle-orm';
import { index, integer, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core';

/**
 * The registry. `ownerId` is null for system tools. `definition` is JSON text in which every secret is masked; the
 * secrets themselves are in `secrets`, encrypted, so that no read of a definition can give one away. Likewise `pointer`
 * holds the internal function that a system tool runs, which only administrators see. `builtin` is the fixed pointer
 * of a tool that the service installs itself. Large columns come last: SQLite need not read them to reach the others.
 * Times are milliseconds since 1970.
 */
export const tools = sqliteTable(
  'tools',
  {
    id: text('id').primaryKey(),
    ownerId: text('owner_id'),
    name: text('name').notNull(),
    toolType: text('tool_type', { enum: ['standard', 'mcp'] }).notNull(),
    builtin: text('builtin').unique(),
    pointer: text('pointer'),
    revision: integer('revision').notNull(),
    createdAt: integer('created_at').notNull(),
    updatedAt: integer('updated_at').notNull(),
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

/**
 * Announcements that commit with the change they announce, in order of `sequence`; `publishedAt` is null until a
 * broker has confirmed one. `subject` is the id of what the event is about: events of one subject keep their order.
 */
export const outbox = sqliteTable(
  'outbox',
  {
    sequence: integer('sequence').primaryKey({ autoIncrement: true }),
    id: text('id').notNull().unique(),
    type: text('type').notNull(),
    subject: text('subject').notNull(),
    payload: text('payload').notNull(),
    createdAt: integer('created_at').notNull(),
    publishedAt: integer('published_at'),
  },
  (table) => [index('outbox_pending').on(table.sequence).where(sql`published_at is null`)],
);

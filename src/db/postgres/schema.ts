import { sql } from 'drizzle-orm';
import { bigint, index, integer, pgTable, primaryKey, text, uniqueIndex } from 'drizzle-orm/pg-core';

// The same tables as in ../sqlite/schema.ts, by the same export names; database.ts has the check that rows are equal.
// Texts sort in byte order on both engines: SQLite does so by itself, PostgreSQL by the collation "C", which drizzle has no
// words for: it is written into the migrations by hand, and a test checks that no column of text is without it.

export const tools = pgTable(
  'tools',
  {
    id: text('id').primaryKey(),
    ownerId: text('owner_id'),
    name: text('name').notNull(),
    toolType: text('tool_type', { enum: ['standard', 'mcp'] }).notNull(),
    builtin: text('builtin').unique(),
    alias: text('alias'),
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
    index('tools_alias').on(table.ownerId, table.alias).where(sql`alias is not null`),
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
  (table) => [
    index('outbox_pending').on(table.type, table.sequence).where(sql`published_at is null`),
    index('outbox_sent').on(table.publishedAt).where(sql`published_at is not null`),
  ],
);

export const leases = pgTable('leases', {
  name: text('name').primaryKey(),
  holder: text('holder').notNull(),
  heldUntil: bigint('held_until', { mode: 'number' }).notNull(),
});

export const deletedUsers = pgTable('deleted_users', {
  userId: text('user_id').primaryKey(),
  deletedAt: bigint('deleted_at', { mode: 'number' }).notNull(),
});

export const executions = pgTable(
  'executions',
  {
    id: text('id').primaryKey(),
    userId: text('user_id').notNull(),
    toolId: text('tool_id').notNull(),
    toolName: text('tool_name').notNull(),
    callId: text('call_id').notNull(),
    requestId: text('request_id').notNull(),
    errorCode: text('error_code'),
    startedAt: bigint('started_at', { mode: 'number' }).notNull(),
    durationMs: integer('duration_ms').notNull(),
    attempts: integer('attempts').notNull(),
    argumentBytes: integer('argument_bytes').notNull(),
    outputBytes: integer('output_bytes').notNull(),
    argumentsHash: text('arguments_hash').notNull(),
    arguments: text('arguments'),
    output: text('output'),
  },
  (table) => [
    index('executions_user').on(table.userId, table.id),
    index('executions_user_tool').on(table.userId, table.toolId, table.id),
  ],
);

export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    userId: text('user_id').notNull(),
    toolId: text('tool_id').notNull(),
    key: text('key').notNull(),
    argumentsHash: text('arguments_hash').notNull(),
    run: text('run').notNull(),
    createdAt: bigint('created_at', { mode: 'number' }).notNull(),
    leaseUntil: bigint('lease_until', { mode: 'number' }).notNull(),
    result: text('result'),
  },
  (table) => [
    primaryKey({ columns: [table.userId, table.toolId, table.key] }),
    index('idempotency_keys_created').on(table.createdAt),
  ],
);

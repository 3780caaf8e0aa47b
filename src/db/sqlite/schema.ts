import { sql } from 'drizzle-orm';
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core';

/**
 * The registry. `ownerId` is null for system tools. `definition` is JSON text in which every secret is masked; the
 * secrets themselves are in `secrets`, encrypted, so that no read of a definition can give one away. Likewise `pointer`
 * holds the internal function that a system tool runs, which only administrators see. `builtin` is the fixed pointer
 * of a tool that the service installs itself. `alias` is what the name becomes where model APIs do not allow it as it is,
 * null where they do. Large columns come last: SQLite need not read them to reach the others.
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
    alias: text('alias'),
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
    index('tools_alias').on(table.ownerId, table.alias).where(sql`alias is not null`),
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
  (table) => [
    index('outbox_pending').on(table.type, table.sequence).where(sql`published_at is null`),
    index('outbox_sent').on(table.publishedAt).where(sql`published_at is not null`),
  ],
);

/** What one process at a time may do: `holder` has it until `heldUntil`, unless it gives it back before. */
export const leases = sqliteTable('leases', {
  name: text('name').primaryKey(),
  holder: text('holder').notNull(),
  heldUntil: integer('held_until').notNull(),
});

/** Users whom the platform has deleted: their tokens are refused, and nothing is written for them any more. */
export const deletedUsers = sqliteTable('deleted_users', {
  userId: text('user_id').primaryKey(),
  deletedAt: integer('deleted_at').notNull(),
});

/**
 * What calls came to, for those who made them. `id` is a UUID of version 7: it begins with the time of the call, so that
 * the order of ids is the order of time. `userId` is empty for a call for nobody, `toolId` where no tool was found.
 * `arguments` and `output` are encrypted, and null where payloads are not kept.
 */
export const executions = sqliteTable(
  'executions',
  {
    id: text('id').primaryKey(),
    userId: text('user_id').notNull(),
    toolId: text('tool_id').notNull(),
    toolName: text('tool_name').notNull(),
    callId: text('call_id').notNull(),
    requestId: text('request_id').notNull(),
    errorCode: text('error_code'),
    startedAt: integer('started_at').notNull(),
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

/**
 * Calls that carry an idempotency key. While one runs, `result` is null and its process moves `leaseUntil` on; where that
 * has passed, the run was cut off. `result` is the outcome, encrypted.
 */
export const idempotencyKeys = sqliteTable(
  'idempotency_keys',
  {
    userId: text('user_id').notNull(),
    toolId: text('tool_id').notNull(),
    key: text('key').notNull(),
    argumentsHash: text('arguments_hash').notNull(),
    run: text('run').notNull(),
    createdAt: integer('created_at').notNull(),
    leaseUntil: integer('lease_until').notNull(),
    result: text('result'),
  },
  (table) => [
    primaryKey({ columns: [table.userId, table.toolId, table.key] }),
    index('idempotency_keys_created').on(table.createdAt),
  ],
);

import { randomUUID } from 'node:crypto';
import type { Database, Transaction } from '../db/database.ts';
import type { ServiceEvent } from './event.ts';

/**
 * Records an event in the transaction of the change it announces, so that neither is there without the other. It is
 * published later, in the order of the events of its tool or user.
 */
export async function recordEvent(
  database: Database,
  transaction: Transaction,
  event: ServiceEvent,
  now: number,
): Promise<void> {
  await transaction.insert(database.tables.outbox).values({
    id: randomUUID(),
    type: event.type,
    subject: event.type === 'user.deleted' ? event.userId : event.toolId,
    payload: JSON.stringify(bodyOf(event)),
    createdAt: now,
  });
}

/** The body of an event's message: the platform relies on its fields. */
function bodyOf(event: ServiceEvent): Record<string, string> {
  return event.type === 'user.deleted'
    ? { user_id: event.userId, service_name: 'ToolService' }
    : { tool_id: event.toolId };
}

import { randomUUID } from 'node:crypto';
import type { Database, Transaction } from '../db/database.ts';
import type { ServiceEvent } from './event.ts';

/**
 * Records an event in the transaction of the change it announces, so that neither is there without the other. It is
 * published later, in the order of its tool's events.
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
    subject: event.toolId,
    payload: JSON.stringify({ tool_id: event.toolId }),
    createdAt: now,
  });
}

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../db/database.ts';
import { isMissing } from '../testing/services.ts';
import type { Engine } from '../testing/test-database.ts';
import { createOutbox } from './create-outbox.ts';
import type { ServiceEvent } from './event.ts';
import { recordEvents } from './outbox-store.ts';
import type { Delivery, Message, Publisher } from './publisher.ts';
import type { RelayTiming } from './relay.ts';
import { watchEvents } from './watch-events.ts';

/** The engines that are there. */
export const engines: Engine[] = (await isMissing('postgres')) ? ['sqlite'] : ['sqlite', 'postgres'];

/** A broker that does as it is told, and keeps what it has confirmed. */
export interface FakeBroker extends Publisher {
  isConnected: boolean;
  /** All that was handed over, in its batches, and what of it a queue has. */
  readonly batches: Message[][];
  readonly received: Message[];
  /** What becomes of a message; `confirmed` unless it says otherwise. */
  judge: (message: Message) => Delivery;
  /** Is waited for before the answer to a batch. */
  delay: () => Promise<unknown>;
  connect(): void;
  /** The routing keys and subjects of what it has received. */
  readonly keys: string[];
}

export function fakeBroker(): FakeBroker {
  const listeners: (() => void)[] = [];
  const broker: FakeBroker = {
    isConnected: true,
    batches: [],
    received: [],
    judge: () => 'confirmed',
    delay: async () => {},
    onConnected: (listener) => void listeners.push(listener),
    async publish(messages) {
      broker.batches.push([...messages]);
      const deliveries = messages.map((message) =>
        broker.isConnected ? broker.judge(message) : 'unconfirmed',
      );
      await broker.delay();
      for (const [index, message] of messages.entries()) {
        if (deliveries[index] === 'confirmed') broker.received.push(message);
      }
      return deliveries;
    },
    connect() {
      broker.isConnected = true;
      for (const listener of listeners) listener();
    },
    get keys() {
      return broker.received.map(({ routingKey, body }) => {
        const { tool_id: tool, user_id: user } = JSON.parse(body) as Record<string, string>;
        return `${routingKey} ${tool ?? user}`;
      });
    },
  };
  return broker;
}

export const created = (toolId: string): ServiceEvent => ({ type: 'tool.created', toolId });
export const updated = (toolId: string): ServiceEvent => ({ type: 'tool.updated', toolId });
export const deleted = (toolId: string): ServiceEvent => ({ type: 'tool.deleted', toolId });

/** Records events in one transaction. */
export async function announce(
  database: Database,
  events: readonly ServiceEvent[],
  at = Date.now(),
): Promise<void> {
  await database.transaction((transaction) => recordEvents(database, transaction, events, at));
}

/** Inserts rows of the outbox as they are, which may be of another version. */
export async function insertRows(
  { transaction, tables: { outbox } }: Database,
  rows: readonly { type: string; subject?: string; createdAt?: number; publishedAt?: number | null }[],
): Promise<void> {
  await transaction((handle) =>
    handle.insert(outbox).values(
      rows.map(({ type, subject = randomUUID(), createdAt = Date.now(), publishedAt = null }) => ({
        ...{ id: randomUUID(), type, subject, createdAt, publishedAt },
        payload: JSON.stringify({ tool_id: subject }),
      })),
    ),
  );
}

/** Inserts tools of these ids, without a word about them. */
export async function insertTools(
  { transaction, tables: { tools } }: Database,
  ids: readonly string[],
): Promise<void> {
  const rest = {
    toolType: 'standard',
    ownerId: 'owner',
    revision: 1,
    description: '',
    definition: '{}',
  } as const;
  await transaction((handle) =>
    handle.insert(tools).values(ids.map((id) => ({ id, name: id, createdAt: 0, updatedAt: 0, ...rest }))),
  );
}

/** The events that wait, as type and subject, in their order. */
export async function pendingOf({ read, tables: { outbox } }: Database): Promise<string[]> {
  const rows = await read.select().from(outbox).orderBy(outbox.sequence);
  return rows
    .filter(({ publishedAt }) => publishedAt === null)
    .map(({ type, subject }) => `${type} ${subject}`);
}

/** Times that tests do not wait long for, and that do not wake by themselves. */
const QUICK: Partial<RelayTiming> = { pollMs: 60_000, firstPauseMs: 5, firstParkMs: 60_000 };

/** An outbox of a replica of its own; `lines` holds what was logged, `seconds` what was published. */
export function testOutbox(
  database: Database,
  publisher: Publisher,
  { now = Date.now, ...timing }: Partial<RelayTiming> & { now?: () => number } = {},
) {
  const watched = watchEvents(database);
  const lines: string[] = [];
  const seconds: number[] = [];
  const at = (level: string) => (fields: object, words: string) => {
    const { event } = fields as { event?: string };
    lines.push(`${level}: ${event ? `${event}: ` : ''}${words}`);
  };
  const outbox = createOutbox(
    {
      database: watched,
      publisher,
      now,
      logger: { info: at('info'), warn: at('warn'), error: at('error') } as never,
      onPublished: (value) => seconds.push(value),
    },
    { ...QUICK, ...timing },
  );
  return { ...outbox, database: watched, lines, seconds, [Symbol.asyncDispose]: () => outbox.close() };
}

/** Waits until something is so, for a bounded time. */
export async function until(isSo: () => boolean | Promise<boolean>, limitMs = 10_000): Promise<void> {
  const start = performance.now();
  while (!(await isSo())) {
    if (performance.now() - start > limitMs) throw new Error('it did not come to be');
    await sleep(2);
  }
}

import { randomUUID } from 'node:crypto';
import { Connection } from 'rabbitmq-client';

const EXCHANGES = ['resource_events', 'user_events'];

/** A neighbour that listens for events, as often as they come. */
export interface EventListener extends AsyncDisposable {
  /** How often the event of each tool or user came. */
  of(routingKey: string): ReadonlyMap<string, number>;
}

/** Listens on a durable queue of its own, which is bound to these events. */
export async function listenForEvents(url: string, routingKeys: readonly string[]): Promise<EventListener> {
  const counts = new Map<string, Map<string, number>>(routingKeys.map((key) => [key, new Map()]));
  const connection = new Connection({ url, retryLow: 200, retryHigh: 1000 });
  connection.on('error', () => {});
  const queue = `listener-${randomUUID()}`;
  const consumer = connection.createConsumer(
    {
      queue,
      queueOptions: { durable: true },
      exchanges: EXCHANGES.map((exchange) => ({ exchange, type: 'topic', durable: true })),
      queueBindings: routingKeys.flatMap((routingKey) =>
        EXCHANGES.map((exchange) => ({ exchange, routingKey })),
      ),
      qos: { prefetchCount: 500 },
    },
    async ({ routingKey, body }) => {
      const { tool_id: toolId, user_id: userId } = body as { tool_id?: string; user_id?: string };
      const id = toolId ?? userId ?? '';
      const ofKey = counts.get(routingKey);
      ofKey?.set(id, (ofKey.get(id) ?? 0) + 1);
    },
  );
  consumer.on('error', () => {});
  await new Promise<void>((resolve) => consumer.once('ready', resolve));
  return {
    of: (routingKey) => counts.get(routingKey) ?? new Map(),
    async [Symbol.asyncDispose]() {
      await consumer.close();
      await connection.queueDelete(queue).catch(() => {});
      await connection.close();
    },
  };
}

import { Connection } from 'rabbitmq-client';

/** Hears of deletions as a neighbour of the service does. */
export interface DeletionsHeard extends AsyncDisposable {
  /** How often each tool's deletion was delivered. */
  readonly counts: ReadonlyMap<string, number>;
}

/** Binds a queue of its own, which is gone when it is closed. */
export async function hearDeletions(url: string): Promise<DeletionsHeard> {
  const connection = new Connection({ url, connectionName: 'kill -9' });
  connection.on('error', (error: unknown) => console.error(`the broker: ${String(error)}`));
  await connection.onConnect(10_000);
  const { queue } = await connection.queueDeclare({ exclusive: true });
  await connection.exchangeDeclare({ exchange: 'resource_events', type: 'topic', durable: true });
  await connection.queueBind({ queue, exchange: 'resource_events', routingKey: 'tool.deleted' });
  const counts = new Map<string, number>();
  const consumer = connection.createConsumer({ queue, noAck: true }, async ({ body }) => {
    const { tool_id: id } = body as { tool_id: string };
    counts.set(id, (counts.get(id) ?? 0) + 1);
  });
  return {
    counts,
    async [Symbol.asyncDispose]() {
      await consumer.close();
      await connection.close();
    },
  };
}

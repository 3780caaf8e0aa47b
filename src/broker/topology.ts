import { AMQPChannelError, type Channel } from 'rabbitmq-client';
import type { Broker, BrokerLog } from './broker.ts';

/** Declares what messages go through. Everything is durable. Each rejects when it cannot be had at all. */
export interface Topology {
  exchange(name: string, type: 'topic' | 'fanout'): Promise<void>;
  /** A classic queue without arguments, so that it is the one that others declare who ask for nothing in particular. */
  queue(name: string): Promise<void>;
  bind(queue: string, exchange: string, routingKey: string): Promise<void>;
}

/** The broker has one of that name that is not as declared, or does not let us declare any. */
const STANDING = new Set<unknown>(['PRECONDITION_FAILED', 'ACCESS_REFUSED']);

/**
 * What a neighbour has declared otherwise is used as it is, and the log tells of it once: it is not ours alone, and
 * deleting it would lose messages.
 */
export function createTopology(broker: Broker, log: BrokerLog): Topology {
  const told = new Set<string>();

  /** On a channel of its own, since a refusal closes the channel. */
  async function once(work: (channel: Channel) => Promise<unknown>): Promise<void> {
    const { amqp, answer } = await broker.openChannel();
    try {
      await answer(work(amqp));
    } finally {
      void amqp.close();
    }
  }

  async function declare(name: string, work: (channel: Channel, passive: boolean) => Promise<unknown>) {
    try {
      await once((channel) => work(channel, false));
    } catch (error) {
      if (!(error instanceof AMQPChannelError) || !STANDING.has(error.code)) throw error;
      await once((channel) => work(channel, true));
      if (!told.has(name)) log.warn({ err: error }, 'declared otherwise by a neighbour: using it as it is');
      told.add(name);
    }
  }

  return {
    exchange: (name, type) =>
      declare(name, (channel, passive) =>
        channel.exchangeDeclare({ exchange: name, type, durable: true, passive }),
      ),
    queue: (name) =>
      declare(name, (channel, passive) => channel.queueDeclare({ queue: name, durable: true, passive })),
    bind: (queue, exchange, routingKey) =>
      once((channel) => channel.queueBind({ queue, exchange, routingKey })),
  };
}

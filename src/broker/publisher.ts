import type { Message, Publisher } from '../events/publisher.ts';
import type { Broker, BrokerLog } from './broker.ts';
import { type ConfirmChannel, openConfirmChannel, type Parcel } from './confirm-channel.ts';
import { createTopology } from './topology.ts';

/** How long the broker may take to confirm a batch. */
const CONFIRM_MS = 5000;

/**
 * Publishes to these exchanges, which are declared as durable topics whenever a connection is there. Messages are
 * persistent and mandatory. A message to another exchange is unroutable: it would close the channel for all others.
 *
 * A broker that does not confirm in time is taken for lost, and the connection replaced.
 */
export function createPublisher(
  broker: Broker,
  options: { readonly exchanges: readonly string[]; readonly log: BrokerLog; readonly confirmMs?: number },
): Publisher {
  const { exchanges, log, confirmMs = CONFIRM_MS } = options;
  const topology = createTopology(broker, log);
  let opening: Promise<ConfirmChannel> | undefined;
  /** Since a channel was opened last. */
  let isTold = false;

  function openChannel(): Promise<ConfirmChannel> {
    opening ??= open();
    return opening;
  }

  async function open(): Promise<ConfirmChannel> {
    try {
      for (const exchange of exchanges) await topology.exchange(exchange, 'topic');
      const channel = await openConfirmChannel(broker);
      // The exchanges are declared anew with the next: somebody may have deleted one, which is what closes channels.
      channel.onClose(() => {
        opening = undefined;
      });
      if (!channel.isOpen) opening = undefined;
      isTold = false;
      return channel;
    } catch (error) {
      opening = undefined;
      // That the broker is away, it says itself.
      if (!isTold && broker.state === 'connected') {
        isTold = true;
        log.warn({ err: error }, 'RabbitMQ does not let us publish: events wait');
      }
      throw error;
    }
  }

  broker.onConnected(() => {
    // So that neighbours find the exchanges before there is anything to publish.
    openChannel().catch(() => {});
  });

  return {
    get isConnected() {
      return broker.state === 'connected';
    },
    onConnected(listener) {
      broker.onConnected(listener);
    },
    async publish(messages) {
      const known = messages.filter(({ exchange }) => exchanges.includes(exchange));
      // A channel may outlive a broker that takes no messages now: what it holds back would only pile up.
      const channel = broker.state === 'away' ? undefined : await openChannel().catch(() => undefined);
      const deliveries = channel ? await channel.publish(known.map(parcelOf), confirmMs) : [];
      const byMessage = new Map(known.map((message, index) => [message, deliveries[index] ?? 'unconfirmed']));
      return messages.map((message) => byMessage.get(message) ?? 'unroutable');
    },
  };
}

function parcelOf({ id, exchange, routingKey, body, timestamp }: Message): Parcel {
  return {
    envelope: {
      exchange,
      routingKey,
      messageId: id,
      // AMQP counts seconds.
      timestamp: Math.floor(timestamp / 1000),
      type: routingKey,
      appId: 'tool-service',
      contentType: 'application/json',
    },
    // The client would call text `text/plain`.
    body: Buffer.from(body),
  };
}

import { setImmediate as nextImmediate } from 'node:timers/promises';
import type { Envelope } from 'rabbitmq-client';
import type { Delivery } from '../events/publisher.ts';
import type { Broker } from './broker.ts';
import { within } from './within.ts';

/** What is published. Its id tells which one comes back: at most 255 bytes. */
export interface Parcel {
  readonly envelope: Envelope & { readonly messageId: string };
  readonly body: Buffer;
}

/** A channel on which the broker says what became of each message. */
export interface ConfirmChannel {
  readonly isOpen: boolean;
  /** Sends in this order, and waits for what becomes of each, for at most `limitMs`. Never rejects. */
  publish(parcels: readonly Parcel[], limitMs: number): Promise<Delivery[]>;
  onClose(listener: () => void): void;
  close(): void;
}

/** Opens a channel of the connection that is there now. Rejects when there is none, or no answer in time. */
export async function openConfirmChannel(broker: Broker): Promise<ConfirmChannel> {
  const { amqp, answer, abandon } = await broker.openChannel();
  /** The ids that came back during each call. */
  const returned = new Set<Set<unknown>>();
  amqp.on('basic.return', ({ messageId }) => {
    for (const ids of returned) ids.add(messageId);
  });
  await answer(amqp.confirmSelect());

  return {
    get isOpen() {
      return amqp.active;
    },
    async publish(parcels, limitMs) {
      const ids = new Set<unknown>();
      returned.add(ids);
      const confirmed = new Set<number>();
      const settled = parcels.map(({ envelope, body }, index) =>
        amqp.basicPublish({ ...envelope, mandatory: true, durable: true }, body).then(
          () => void confirmed.add(index),
          // Refused, or the channel is gone: whether the broker has it is not known.
          () => {},
        ),
      );
      await within(Promise.all(settled), limitMs).catch(abandon);
      // As of now: one that is confirmed while the next line waits may come back later than that.
      const judged = new Set(confirmed);
      // The broker confirms what it cannot route, too, and sends it back before that. The client tells of what came back
      // in an immediate, but of the confirm at once. So for whatever is confirmed by now, the immediate that tells of its
      // return stands in the queue already; immediates run in the order they were asked for, hence before this one ends.
      await nextImmediate();
      returned.delete(ids);
      return parcels.map(({ envelope }, index) => {
        if (!judged.has(index)) return 'unconfirmed';
        return ids.has(envelope.messageId) ? 'unroutable' : 'confirmed';
      });
    },
    onClose(listener) {
      amqp.once('close', listener);
    },
    close() {
      void amqp.close();
    },
  };
}

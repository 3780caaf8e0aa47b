import { openBroker } from './broker/broker.ts';
import { createConsumer } from './broker/consumer.ts';
import { createPublisher } from './broker/publisher.ts';
import { createOutbox } from './events/create-outbox.ts';
import { EVENT_EXCHANGES } from './events/message.ts';
import type { WatchedDatabase } from './events/watch-events.ts';
import type { Logger } from './logging.ts';
import type { Metrics } from './metrics.ts';
import type { DependencyState } from './readiness.ts';
import { handleDeletionMessage } from './user-deletion/handle-message.ts';

/** What neighbours declare as well: they rely on these names. */
const USER_EVENTS = 'user_events';
const CLEANUP_QUEUE = 'tool_user_cleanup_queue';

/** What the service says to the platform by RabbitMQ, and hears from it. */
export interface Messaging {
  readonly state: DependencyState;
  /** Leaves messages and events under way to be handled again, after a bounded time. Idempotent. */
  close(): Promise<void>;
}

/**
 * Publishes the events of the outbox and handles the platform's deletions of users. Does not wait for the broker, which may
 * be away. Without a `url`, events wait in the outbox. Close it before the database.
 */
export function openMessaging(context: {
  readonly url: string | undefined;
  readonly database: WatchedDatabase;
  readonly metrics: Pick<Metrics, 'outbox' | 'published'>;
  readonly logger: Logger;
  readonly now: () => number;
}): Messaging {
  const { url, database, metrics, logger, now } = context;
  const broker = url === undefined ? undefined : openBroker({ url, log: logger });
  const outbox = createOutbox({
    database,
    publisher: broker && createPublisher(broker, { exchanges: EVENT_EXCHANGES, log: logger }),
    now,
    logger,
    onPublished: metrics.published,
  });
  metrics.outbox(outbox.stats);
  const consumer =
    broker &&
    createConsumer(broker, {
      names: {
        exchange: USER_EVENTS,
        routingKey: 'user.deletion.initiated',
        queue: CLEANUP_QUEUE,
        deadLetterExchange: 'tool_user_cleanup_dlx',
        deadLetterQueue: `${CLEANUP_QUEUE}.dead`,
        retryQueue: `${CLEANUP_QUEUE}.retry`,
      },
      handle: ({ body }) => handleDeletionMessage({ database, now, logger }, body),
      log: logger,
    });

  return {
    get state() {
      if (!broker) return 'off';
      return broker.state === 'connected' ? 'ok' : 'away';
    },
    async close() {
      await Promise.all([consumer?.close(), outbox.close()]);
      await broker?.close();
    },
  };
}

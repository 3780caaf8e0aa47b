import { AMQPChannelError, AMQPConnectionError, type Channel, Connection } from 'rabbitmq-client';
import type { Logger } from '../logging.ts';
import { connectionOptions } from './connection-options.ts';
import { LateError, within } from './within.ts';

const TIMING = {
  /** For a connection to be there, its negotiation included. */
  connectMs: 5000,
  /** Whose peer has been silent for twice as long is taken for lost. */
  heartbeatSeconds: 4,
  /** For an answer on a channel. */
  answerMs: 5000,
  /** Between attempts to connect: at least the first, drawn at random up to a bound that doubles until the longest. */
  firstPauseMs: 200,
  longestPauseMs: 5000,
  /** For the broker's goodbye. */
  closeMs: 2000,
};
export type BrokerTiming = Readonly<typeof TIMING>;

export type BrokerLog = Pick<Logger, 'info' | 'warn' | 'error'>;

/** A channel of the connection that was there when it was opened; it ends with that. */
export interface BrokerChannel {
  readonly amqp: Channel;
  /** Waits for what the broker answers on it. Rejects when there is none in time; the connection is replaced then. */
  answer<T>(reply: Promise<T>): Promise<T>;
  /** Replaces the connection it belongs to, unless that has been done: the broker does not answer on it any more. */
  abandon(): void;
}

/** One connection to RabbitMQ, which comes back by itself for as long as it is not closed. */
export interface Broker {
  /** `away` too while the broker lacks memory or disk and takes no messages. */
  readonly state: 'connected' | 'away';
  /** Calls back whenever a connection is there (again). Returns what ends that. */
  onConnected(listener: () => void): () => void;
  /** Rejects at once while the broker is away, else within a bounded time. */
  openChannel(): Promise<BrokerChannel>;
  /** Idempotent, and bounded in time whatever the broker does. */
  close(): Promise<void>;
}

/**
 * Opens a connection, without waiting for it: the broker may be away. The log tells once of each time that it is away, and
 * once that it is back.
 *
 * @throws Error when `url` is not one of a broker; it holds nothing of it.
 */
export function openBroker({
  url,
  log,
  timing = {},
}: {
  readonly url: string;
  readonly log: BrokerLog;
  readonly timing?: Partial<BrokerTiming>;
}): Broker {
  const { connectMs, heartbeatSeconds, answerMs, firstPauseMs, longestPauseMs, closeMs } = {
    ...TIMING,
    ...timing,
  };
  const options = {
    ...connectionOptions(url),
    connectionName: 'tool-service',
    connectionTimeout: connectMs,
    acquireTimeout: answerMs,
    heartbeat: heartbeatSeconds,
    retryLow: firstPauseMs,
    retryHigh: longestPauseMs,
    noDelay: true,
  };
  const listeners = new Set<() => void>();
  const channels = new Set<Channel>();
  let state: Broker['state'] = 'away';
  let isBlocked = false;
  /** Since it was there last. */
  let isTold = false;
  let closing: Promise<void> | undefined;
  let connection = connect();

  function connect(): Connection {
    const opened = new Connection(options);
    const whenCurrent =
      <A extends unknown[]>(listener: (...values: A) => void) =>
      (...values: A) => {
        if (opened === connection && !closing) listener(...values);
      };
    opened.on('connection', whenCurrent(back));
    // Stays for good: an error that nobody listens to would end the process.
    opened.on(
      'error',
      whenCurrent((error: unknown) => {
        if (opened.ready || isOfChannel(error)) log.warn({ err: error }, 'RabbitMQ closed a channel');
        else away(error);
      }),
    );
    opened.on(
      'connection.blocked',
      whenCurrent(() => {
        away(new Error('it lacks memory or disk, and takes no messages'));
        isBlocked = true;
      }),
    );
    opened.on('connection.unblocked', whenCurrent(back));
    return opened;
  }

  function away(error: unknown): void {
    state = 'away';
    isBlocked = false;
    if (!isTold) log.warn({ err: error }, 'RabbitMQ is away: trying again until it is back');
    isTold = true;
  }

  function back(): void {
    state = 'connected';
    isBlocked = false;
    log.info(isTold ? 'RabbitMQ is back' : 'connected to RabbitMQ');
    isTold = false;
    for (const listener of [...listeners]) listener();
  }

  function abandon(abandoned: Connection): void {
    // A broker that has said it is blocked answers later; a new connection would only be blocked too.
    if (abandoned !== connection || closing || isBlocked) return;
    away(new Error('it does not answer'));
    abandoned.unsafeDestroy();
    connection = connect();
  }

  async function shutDown(): Promise<void> {
    state = 'away';
    listeners.clear();
    for (const channel of channels) void channel.close();
    await within(connection.close(), closeMs).catch(() => {});
    connection.unsafeDestroy();
  }

  return {
    get state() {
      return state;
    },
    onConnected(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async openChannel() {
      if (state === 'away') throw new Error('RabbitMQ is away');
      const own = connection;
      const answer = <T>(reply: Promise<T>) =>
        within(reply, answerMs).catch((error: unknown) => {
          if (error instanceof LateError) abandon(own);
          throw error;
        });
      const amqp = await answer(own.acquire());
      channels.add(amqp);
      amqp.once('close', () => channels.delete(amqp));
      return { amqp, answer, abandon: () => abandon(own) };
    },
    close() {
      closing ??= shutDown();
      return closing;
    },
  };
}

/** A channel was closed by the broker, and the connection goes on. */
function isOfChannel(error: unknown): boolean {
  return error instanceof AMQPChannelError && !(error instanceof AMQPConnectionError);
}

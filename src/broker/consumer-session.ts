import type { AsyncMessage, Channel } from 'rabbitmq-client';
import type { Broker, BrokerLog } from './broker.ts';
import { openConfirmChannel } from './confirm-channel.ts';
import {
  bodyOf,
  freshHistory,
  type History,
  historyOf,
  type IncomingMessage,
  type Outcome,
  setAside,
} from './incoming.ts';
import type { Topology } from './topology.ts';

/** What a consumer's messages go through. */
export interface ConsumerNames {
  /** A topic exchange. */
  readonly exchange: string;
  readonly routingKey: string;
  readonly queue: string;
  /** A fanout exchange, bound to `deadLetterQueue`; others may bind queues of their own. */
  readonly deadLetterExchange: string;
  readonly deadLetterQueue: string;
  /** Holds what a passing fault has met, until it is tried again. */
  readonly retryQueue: string;
}

export interface ConsumerContext {
  readonly broker: Broker;
  readonly topology: Topology;
  readonly names: ConsumerNames;
  readonly handle: (message: IncomingMessage) => Promise<Outcome>;
  readonly log: BrokerLog;
  readonly prefetch: number;
  readonly now: () => number;
  readonly retryPausesMs: readonly number[];
  /** The handlers under way, those of sessions before included. */
  readonly running: Set<Promise<void>>;
  /** Whether the broker was there but did not take what the session before set aside. What it delivers again goes bare. */
  readonly refusals: { isRefused: boolean };
}

/** A time of consuming, from when the channels are open until one of them ends. */
export interface Session {
  readonly ended: Promise<void>;
  /** Asks for no more messages, and starts no more handlers; those under way can still tell the broker. Never rejects. */
  cancel(): Promise<void>;
  /** Closes the channels: the broker delivers again what it was not told of. */
  end(): void;
}

/** So many messages wait for their next attempt here; more of them wait in their queue. */
const RETRY_PREFETCH = 100;

/** For the broker to have what is set aside. */
const CONFIRM_MS = 5000;

/** Declares what is needed and consumes. Rejects when anything of it cannot be had now. */
export async function openSession(context: ConsumerContext): Promise<Session> {
  const { broker, topology, names, handle, log, prefetch, now, retryPausesMs, running, refusals } = context;
  await topology.exchange(names.exchange, 'topic');
  await topology.exchange(names.deadLetterExchange, 'fanout');
  for (const queue of [names.queue, names.deadLetterQueue, names.retryQueue]) await topology.queue(queue);
  await topology.bind(names.queue, names.exchange, names.routingKey);
  await topology.bind(names.deadLetterQueue, names.deadLetterExchange, names.routingKey);

  const asides = await openConfirmChannel(broker);
  const channels: Channel[] = [];
  const cancels: (() => Promise<unknown>)[] = [];
  const timers = new Set<NodeJS.Timeout>();
  let isStopping = false;
  /** Since a message was done with last: an outage of what they need is told of once. */
  let isFailing = false;
  let hasFailed = false;
  let isCancelled = false;
  const areBare = refusals.isRefused;
  refusals.isRefused = false;
  let tellEnded = () => {};
  const ended = new Promise<void>((resolve) => {
    tellEnded = resolve;
  });
  asides.onClose(end);

  function end(): void {
    stopWaiting();
    asides.close();
    for (const channel of channels) void channel.close();
    tellEnded();
  }

  function stopWaiting(): void {
    isStopping = true;
    for (const timer of timers) clearTimeout(timer);
    timers.clear();
  }

  async function consume(
    queue: string,
    count: number,
    take: (message: AsyncMessage, channel: Channel) => void,
  ): Promise<void> {
    const { amqp, answer } = await broker.openChannel();
    channels.push(amqp);
    amqp.once('close', end);
    // The queue was deleted, or moved to another node.
    amqp.once('basic.cancel', end);
    await answer(amqp.basicQos({ prefetchCount: count }));
    const { consumerTag } = await answer(
      amqp.basicConsume({ queue }, (message) => {
        if (!isStopping) take(message, amqp);
      }),
    );
    cancels.push(() => answer(amqp.basicCancel(consumerTag)));
  }

  function run(message: AsyncMessage, channel: Channel, history: History): void {
    const job = settle(message, channel, history)
      .catch(fail)
      .finally(() => running.delete(job));
    running.add(job);
  }

  function fail(error: unknown): void {
    // The first ends the session, and with it the others. That the broker is away, it says itself.
    if (!hasFailed && !isCancelled && broker.state === 'connected') {
      log.warn({ err: error, queue: names.queue }, 'the broker could not be told what became of a message');
    }
    hasFailed = true;
    end();
  }

  /** Rejects when the broker could not be told: it delivers the message again, once the channel is closed. */
  async function settle(message: AsyncMessage, channel: Channel, history: History): Promise<void> {
    const outcome = await outcomeOf(message, history);
    const firstFailedAt = history.firstFailedAt ?? new Date(now()).toISOString();
    if (outcome === 'passing fault') {
      const pauseMs = retryPausesMs[Math.min(history.attempt, retryPausesMs.length) - 1] ?? 0;
      const next = { ...history, attempt: history.attempt + 1, firstFailedAt, notBefore: now() + pauseMs };
      // The default exchange has every queue by its name.
      await put(message, next, { exchange: '', routingKey: names.retryQueue });
    } else if (outcome !== 'done') {
      const to = { exchange: names.deadLetterExchange, routingKey: names.routingKey };
      await put(message, { ...history, firstFailedAt }, to, outcome.deadLetter);
      log.error(
        { queue: names.queue, reason: outcome.deadLetter, attempt: history.attempt },
        'a message can never be handled: it is in the dead-letter queue',
      );
    }
    channel.basicAck({ deliveryTag: message.deliveryTag });
  }

  async function outcomeOf(message: AsyncMessage, { attempt }: History): Promise<Outcome | 'passing fault'> {
    const { messageId, redelivered } = message;
    try {
      const outcome = await handle({ body: bodyOf(message), messageId, redelivered, attempt });
      isFailing = false;
      return outcome;
    } catch (error) {
      if (!isFailing) {
        log.warn({ err: error, queue: names.queue, attempt }, 'messages cannot be handled: trying again');
      }
      isFailing = true;
      return 'passing fault';
    }
  }

  async function put(
    message: AsyncMessage,
    history: History,
    to: Parameters<typeof setAside>[2],
    reason?: string,
  ): Promise<void> {
    const parcel = setAside(message, history, to, { reason, isBare: areBare && message.redelivered });
    const [delivery] = await asides.publish([parcel], CONFIRM_MS);
    if (delivery === 'confirmed') return;
    if (delivery === 'unconfirmed' && broker.state === 'connected') refusals.isRefused = true;
    throw new Error('the broker did not take a message that is set aside');
  }

  try {
    await consume(names.retryQueue, RETRY_PREFETCH, (message, channel) => {
      const history = historyOf(message);
      // Held here, not by a queue that lets it expire: what expires is lost when its next queue is not there just then.
      const longestMs = retryPausesMs.at(-1) ?? 0;
      const waitMs = Math.min(Math.max(0, history.notBefore - now()), longestMs);
      const timer = setTimeout(() => {
        timers.delete(timer);
        run(message, channel, history);
      }, waitMs);
      timers.add(timer);
    });
    await consume(names.queue, prefetch, (message, channel) => run(message, channel, freshHistory(message)));
  } catch (error) {
    end();
    throw error;
  }
  return {
    ended,
    async cancel() {
      isCancelled = true;
      stopWaiting();
      await Promise.allSettled(cancels.map((cancel) => cancel()));
    },
    end,
  };
}

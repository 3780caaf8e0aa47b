import type { Broker, BrokerLog } from './broker.ts';
import { type ConsumerContext, type ConsumerNames, openSession, type Session } from './consumer-session.ts';
import type { IncomingMessage, Outcome } from './incoming.ts';
import { createTopology } from './topology.ts';
import { within } from './within.ts';

const TIMING = {
  /** After the first, second … failed attempt; the last one goes on for ever. */
  retryPausesMs: [1000, 5000, 15_000, 60_000] as readonly number[],
  /** Before the queue is asked for again after a fault; doubles with each that follows, up to the longest. */
  firstPauseMs: 200,
  longestPauseMs: 10_000,
  /** For the handlers under way when it closes. */
  closeMs: 5000,
  /** For the broker's word that it hands out no more messages. */
  cancelMs: 1000,
};
export type ConsumerTiming = Readonly<typeof TIMING>;

/** Handles the messages of one queue, for as long as it is not closed. */
export interface Consumer {
  /** Whether the broker hands it messages now. */
  readonly isConsuming: boolean;
  /**
   * Takes no more messages and waits for the handlers under way, within a bounded time. What has not ended by then, or
   * waits to be tried again, is delivered again to whoever consumes next. Idempotent.
   */
  close(): Promise<void>;
}

/**
 * Consumes a durable queue that it declares and binds, each time that there is a connection, and whenever somebody has
 * deleted the queue or ended the channel.
 *
 * A message leaves the queue once `handle` has resolved: with `done`; with a dead letter, once that is in its queue, with
 * the reason in the header `x-reason`; or, when it rejected, once the message is in the queue of those to be tried again,
 * so that those behind it go on. From there it is handled again after a pause, for ever: a passing fault is no dead letter.
 * Until then the broker keeps it, and delivers it again when this process dies: `handle` gets a message once or more.
 *
 * @param options.handle must end within a bounded time.
 */
export function createConsumer(
  broker: Broker,
  options: {
    readonly names: ConsumerNames;
    readonly handle: (message: IncomingMessage) => Promise<Outcome>;
    readonly log: BrokerLog;
    /** So many are handled at a time. */
    readonly prefetch?: number;
    readonly now?: () => number;
    readonly timing?: Partial<ConsumerTiming>;
  },
): Consumer {
  const { names, handle, log, prefetch = 10, now = Date.now, timing } = options;
  const { retryPausesMs, firstPauseMs, longestPauseMs, closeMs, cancelMs } = { ...TIMING, ...timing };
  const running = new Set<Promise<void>>();
  const context: ConsumerContext = {
    broker,
    topology: createTopology(broker, log),
    names,
    handle,
    log,
    prefetch,
    now,
    retryPausesMs,
    running,
    refusals: { isRefused: false },
  };
  let opening: Promise<void> | undefined;
  let session: Session | undefined;
  let timer: NodeJS.Timeout | undefined;
  let pauseMs = 0;
  /** Since it consumed last. */
  let isTold = false;
  let closing: Promise<void> | undefined;

  const ignoreConnections = broker.onConnected(start);
  start();

  function start(): void {
    if (closing || opening || session || broker.state === 'away') return;
    clearTimeout(timer);
    opening = open().finally(() => {
      opening = undefined;
    });
  }

  async function open(): Promise<void> {
    const startedAt = performance.now();
    try {
      // Those of the session before cannot tell the broker any more, and their messages come again: not beside them.
      await within(Promise.allSettled(running), closeMs).catch(() => {});
      const opened = await openSession(context);
      session = opened;
      isTold = false;
      void opened.ended.then(() => {
        session = undefined;
        // Not at once, over and over, where something ends each as soon as it has begun.
        if (performance.now() - startedAt > longestPauseMs) pauseMs = 0;
        startLater();
      });
    } catch (error) {
      // That the broker is away, it says itself.
      if (!isTold && broker.state === 'connected') {
        isTold = true;
        log.warn({ err: error, queue: names.queue }, 'a queue cannot be consumed: trying again until it can');
      }
      startLater();
    }
  }

  function startLater(): void {
    if (closing) return;
    pauseMs = Math.min(2 * pauseMs || firstPauseMs, longestPauseMs);
    clearTimeout(timer);
    timer = setTimeout(start, pauseMs * (0.5 + Math.random() / 2));
  }

  async function shutDown(): Promise<void> {
    ignoreConnections();
    clearTimeout(timer);
    const deadline = performance.now() + closeMs;
    const inTime = (work: Promise<unknown>, limitMs = closeMs) =>
      within(work, Math.min(limitMs, Math.max(0, deadline - performance.now()))).catch(() => {});
    if (opening) await inTime(opening);
    if (session) await inTime(session.cancel(), cancelMs);
    await inTime(Promise.allSettled(running));
    session?.end();
    // One that was still opening ends with the connection.
    void opening?.then(() => session?.end());
  }

  return {
    get isConsuming() {
      return session !== undefined;
    },
    close() {
      closing ??= shutDown();
      return closing;
    },
  };
}

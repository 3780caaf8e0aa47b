import type { Logger } from '../../logging.ts';
import { type Client, type Evaluation, LinkError, newClient, reasonOf, run } from './redis-client.ts';
import { createStallWatch } from './stall-watch.ts';

const TIMING = {
  /** How long Redis may take to let us in and learn the script. */
  connectMs: 1000,
  /** How long it may take to run the script then. */
  probeMs: 150,
  /** The pause before the next attempt to connect, which doubles with each one that fails. */
  firstPauseMs: 250,
  longestPauseMs: 5000,
};
export type LinkTiming = Readonly<typeof TIMING>;

/** A connection to Redis that is given up at the first fault, and made anew beside the requests. */
export interface RedisLink {
  readonly state: 'connected' | 'away';
  /**
   * What a script answers, a whole number of 0 or more; undefined when Redis is away, or has not answered within some
   * 200 ms. Never rejects.
   */
  evaluate(evaluation: Evaluation): Promise<number | undefined>;
  /** Breaks off what is under way. Idempotent. */
  close(): void;
}

/**
 * Makes the link; resolves when the first attempt to connect has ended, either way. There is one line in the log when
 * Redis goes away, and one when it is back.
 *
 * @param options.probe run on each new connection, which counts only when it is answered in time.
 * @throws TypeError or URIError for a URL that cannot be used.
 */
export async function openRedisLink(options: {
  url: string;
  probe: Evaluation;
  logger: Pick<Logger, 'info' | 'warn'>;
  timing?: Partial<LinkTiming>;
}): Promise<RedisLink> {
  const { url, probe, logger } = options;
  const { connectMs, probeMs, firstPauseMs, longestPauseMs } = { ...TIMING, ...options.timing };
  /** The one that requests use; undefined while Redis is away. */
  let current: Client | undefined;
  let connectedAt = 0;
  let pauseMs = firstPauseMs;
  let timer: NodeJS.Timeout | undefined;
  let isToldAway = false;
  let isClosed = false;
  const stopAttempt = new AbortController();
  const watch = createStallWatch(() => {
    if (current) lose(current, 'no answer in time');
  });

  /** Takes the link away: whoever waits for an answer on it hears at once that there is none. */
  function lose(client: Client, reason: string): void {
    const wasCurrent = client === current;
    if (wasCurrent) current = undefined;
    client.destroy();
    if (!wasCurrent) return;
    watch.reset();
    // A Redis that goes away again and again is asked ever more seldom: each time costs a request its wait.
    if (performance.now() - connectedAt > 2 * longestPauseMs) pauseMs = firstPauseMs;
    tellAway(reason);
    attemptLater();
  }

  function attemptLater(): void {
    if (isClosed) return;
    // Replicas that lost it together do not come back together.
    timer = setTimeout(attempt, pauseMs * (0.75 + Math.random() / 2)).unref();
    pauseMs = Math.min(2 * pauseMs, longestPauseMs);
  }

  async function attempt(): Promise<void> {
    const client = newClient(url, connectMs);
    let fault: unknown;
    client.on('error', (error) => {
      fault = error;
      lose(client, reasonOf(error));
    });
    try {
      await within(connectMs, stopAttempt.signal, connectAndTeach(client));
      await within(probeMs, stopAttempt.signal, run(client, probe));
      // Lost or closed in the turn in which it was found to work, when there was nobody to tell.
      if (!client.isReady || isClosed) throw fault;
    } catch (error) {
      client.destroy();
      if (isClosed) return;
      // What a client says that it is given up for is less than what it was told before.
      tellAway(reasonOf(fault ?? error));
      attemptLater();
      return;
    }
    current = client;
    connectedAt = performance.now();
    if (isToldAway) logger.info('Redis is back: rate limits are counted for all replicas again');
    isToldAway = false;
  }

  async function connectAndTeach(client: Client): Promise<void> {
    // A client that is given up while its socket connects would keep that socket.
    client.on('connect', () => {
      if (!client.isOpen) client.destroy();
    });
    await client.connect();
    await run(client, probe);
  }

  function tellAway(reason: string): void {
    if (isToldAway || isClosed) return;
    isToldAway = true;
    logger.warn({ reason }, 'Redis is away: each process counts rate limits for itself meanwhile');
  }

  await attempt();
  return {
    get state() {
      return current ? 'connected' : 'away';
    },
    async evaluate(evaluation) {
      const client = current;
      if (!client) return undefined;
      const answered = watch.expect();
      try {
        return await run(client, evaluation);
      } catch (error) {
        lose(client, reasonOf(error));
        return undefined;
      } finally {
        answered();
      }
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
      stopAttempt.abort();
      if (current) lose(current, 'closed');
    },
  };
}

/** @throws LinkError when `work` takes longer, or the signal aborts. */
async function within<T>(timeoutMs: number, signal: AbortSignal, work: Promise<T>): Promise<T> {
  let giveUp = () => {};
  const over = new Promise<never>((_resolve, reject) => {
    giveUp = () => reject(new LinkError('no answer in time'));
  });
  const timer = setTimeout(giveUp, timeoutMs);
  signal.addEventListener('abort', giveUp);
  try {
    return await Promise.race([work, over]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', giveUp);
  }
}

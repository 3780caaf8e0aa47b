import type { RateLimit } from '../../config.ts';
import type { Logger } from '../../logging.ts';
import { createLocalWindow } from './local-window.ts';
import { type LinkTiming, openRedisLink } from './redis-link.ts';
import { scriptId, WINDOW_SCRIPT } from './redis-script.ts';
import type { WindowCounter } from './window-counter.ts';

/** The counts of all replicas, in Redis. */
export interface RedisWindows {
  readonly users: WindowCounter;
  readonly addresses: WindowCounter;
  /** While Redis is away each process counts for itself. */
  readonly state: 'connected' | 'away';
  /** Idempotent. Requests are counted in the process from then on. */
  close(): void;
  [Symbol.dispose](): void;
}

/**
 * Counts in Redis, and in this process while Redis is away. What Redis admits is counted here too, so that a client that
 * has used up its limit does not get another when Redis goes away; Redis does not learn of what was admitted meanwhile.
 *
 * Resolves when the first attempt to connect has ended, either way: within a second. A Redis that is slower than 200 ms
 * counts as away.
 *
 * @param options.url `redis://` or `rediss://`, with the user, the password and the number of the database.
 * @param options.now the time in milliseconds, for what is counted here; Redis counts by its own clock.
 * @param options.prefix what the keys begin with.
 * @throws TypeError or URIError for a URL that cannot be used.
 */
export async function openRedisWindows(options: {
  url: string;
  user: RateLimit;
  anonymous: RateLimit;
  now: () => number;
  logger: Pick<Logger, 'info' | 'warn'>;
  prefix?: string;
  timing?: Partial<LinkTiming>;
}): Promise<RedisWindows> {
  const { prefix = 'tool-service:throttle' } = options;
  const id = scriptId(WINDOW_SCRIPT);
  const evaluation = (name: string, limit: NonNullable<RateLimit>, key: string) => ({
    script: WINDOW_SCRIPT,
    id,
    // With the window, by whose length the steps are numbered.
    key: `${prefix}:${name}:${limit.windowMs}:${key}`,
    values: [String(limit.count), String(limit.windowMs)],
  });
  const link = await openRedisLink({
    url: options.url,
    probe: evaluation('probe', { count: 1, windowMs: 1000 }, 'probe'),
    logger: options.logger,
    ...(options.timing ? { timing: options.timing } : {}),
  });

  function createWindow(name: string, limit: RateLimit): WindowCounter {
    const local = createLocalWindow(limit, options.now);
    if (limit === null) return local;
    return {
      async take(key) {
        const seconds = await link.evaluate(evaluation(name, limit, key));
        if (seconds === undefined) return local.take(key);
        if (seconds === 0) local.take(key);
        return seconds;
      },
    };
  }
  return {
    users: createWindow('user', options.user),
    addresses: createWindow('address', options.anonymous),
    get state() {
      return link.state;
    },
    close: link.close,
    [Symbol.dispose]: link.close,
  };
}

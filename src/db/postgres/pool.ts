import { onAbort } from '../../cancellation.ts';
import { toUnavailable } from './faults.ts';

/** A statement, as node-postgres takes it. */
export interface QueryConfig {
  readonly text: string;
  readonly values?: readonly unknown[];
  /** Under this name the connection keeps it prepared. */
  readonly name?: string;
  readonly rowMode?: 'array';
  readonly types?: { getTypeParser(type: number): (text: string) => unknown };
  /** How long its answer is waited for, in milliseconds; else as long as the pool's settings say. */
  readonly query_timeout?: number;
}

export interface QueryResult {
  readonly rows: unknown[];
  /** What the server says that it did: ROLLBACK, say, for a `commit` of what had failed. */
  readonly command?: string | undefined;
}

/** What runs statements. */
export interface Queryable {
  query(config: QueryConfig | string, values?: readonly unknown[]): Promise<QueryResult>;
}

/** A connection that is nobody else's until it is released; with true, it is closed. */
export interface PoolClient extends Queryable {
  release(destroy?: boolean): void;
}

/** The part of node-postgres's pool that is used. */
export interface Pool {
  /** The same object each time for the same connection. @throws whatever goes wrong, within a bounded time. */
  connect(): Promise<PoolClient>;
  /** Closes what is idle now and the rest as it is released, within a bounded time. */
  end(): Promise<void>;
}

/** A little more than the server itself takes: its own word that time is up leaves a connection that can be used on. */
const GRACE_MS = 500;

/** For how long an answer is waited for that must be there at a time of `performance.now()`, in milliseconds. */
export function timeoutUntil(deadline: number): number {
  return Math.max(1, Math.ceil(deadline - performance.now())) + GRACE_MS;
}

/**
 * Waits for a connection until a time of `performance.now()`. One that comes when nobody waits for it any more goes back.
 *
 * @throws ServiceError `unavailable` when there is none by then, or none can be made; the signal's reason when it aborts
 * before.
 */
export function acquire(pool: Pool, deadline: number, signal?: AbortSignal): Promise<PoolClient> {
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    let isOver = false;
    const end = () => {
      isOver = true;
      clearTimeout(timer);
      leave?.();
    };
    const fail = (error: unknown) => {
      if (isOver) return;
      end();
      reject(error);
    };
    const timer = setTimeout(
      () => fail(toUnavailable(new Error('no connection of the pool became free in time'))),
      Math.max(0, deadline - performance.now()),
    );
    const leave = signal && onAbort(signal, () => fail(signal.reason));
    pool.connect().then(
      (client) => {
        if (isOver) return client.release();
        end();
        resolve(client);
      },
      (error: unknown) => fail(toUnavailable(error)),
    );
  });
}

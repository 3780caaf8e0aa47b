import pg from 'pg';
import { describeFault } from './faults.ts';
import type { Pool, PoolClient } from './pool.ts';

export interface ConnectOptions {
  readonly url: string;
  /** Connections to the server. */
  readonly poolSize: number;
  /** How long a connection is waited for, and a statement, in milliseconds. */
  readonly timeoutMs: number;
  /** Hears of connections that broke while nobody used them, once for each outage. */
  readonly logFault: (error: unknown) => void;
}

/** A connection that nobody uses is closed after this. */
const IDLE_MS = 5 * 60_000;

/** No connection is kept for longer: behind a name that moved to another server, all follow in this time. */
const LIFETIME_SECONDS = 30 * 60;

/** When the other side of an idle connection is asked whether it is still there. */
const KEEP_ALIVE_MS = 10_000;

/** How long the end waits for connections in use. */
const END_MS = 2000;

/** Makes a pool of connections by node-postgres; connects when it is first asked to. */
export function connectPool({ url, poolSize, timeoutMs, logFault }: ConnectOptions): Pool {
  const pool = new pg.Pool({
    ...connectionOf(url),
    max: poolSize,
    application_name: 'tool-service',
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    connectionTimeoutMillis: timeoutMs,
    idleTimeoutMillis: IDLE_MS,
    maxLifetimeSeconds: LIFETIME_SECONDS,
    statement_timeout: timeoutMs,
    query_timeout: timeoutMs + 500,
    idle_in_transaction_session_timeout: 2 * timeoutMs,
  });
  const connections = new Set<pg.PoolClient>();
  let isAway = false;
  pool.on('connect', (client) => {
    isAway = false;
    connections.add(client);
    // One that breaks in use tells who uses it; unheard, the event would end the process.
    client.on('error', () => {});
  });
  pool.on('remove', (client) => connections.delete(client));
  pool.on('error', (error) => {
    if (!isAway) logFault(describeFault(error));
    isAway = true;
  });
  let ended: Promise<void> | undefined;
  return {
    connect: () => pool.connect() as Promise<pg.PoolClient & PoolClient>,
    end() {
      ended ??= endWithin(pool, connections, END_MS);
      return ended;
    },
  };
}

async function endWithin(pool: pg.Pool, connections: ReadonlySet<pg.PoolClient>, limitMs: number) {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([pool.end(), late]);
  clearTimeout(timer);
  // A server that does not answer does not hang up either.
  for (const client of connections) socketOf(client)?.destroySoon();
}

interface Socket {
  destroySoon(): void;
}

function socketOf(client: pg.PoolClient): Socket | undefined {
  return (client as unknown as { connection?: { stream?: Socket } }).connection?.stream;
}

/**
 * Plans are made once, as values never change which index is right. Not knowing them, the planner takes any range for a
 * small one and would read and sort all of a user's rows for a page of them: it shall take an index that has the order.
 * What it forbids itself it counts as so dear that it would compile it.
 */
const PLANNING = '-c plan_cache_mode=force_generic_plan -c enable_sort=off -c jit=off';

/**
 * What node-postgres makes its connections by. With `sslmode` the server's certificate and name are checked, as
 * `verify-full` says, against `sslrootcert` or the authorities that Node knows; `no-verify` encrypts only, `disable` does not.
 */
export function connectionOf(url: string): { connectionString: string; options: string } {
  const parsed = new URL(url);
  const { searchParams } = parsed;
  const own = searchParams.get('options');
  searchParams.delete('options');
  const mode = searchParams.get('sslmode');
  // The driver takes these for the same, and warns of it at each start.
  if (
    mode !== null &&
    /^(?:allow|prefer|require|verify-ca)$/.test(mode) &&
    !searchParams.has('uselibpqcompat')
  ) {
    searchParams.set('sslmode', 'verify-full');
  }
  return { connectionString: parsed.href, options: own === null ? PLANNING : `${PLANNING} ${own}` };
}

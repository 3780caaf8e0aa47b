import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Config, ConfigError, type RateLimit } from './config.ts';
import { nameFault } from './config-fault.ts';
import { openDatabase as openDatabaseByUrl } from './db/open-database.ts';
import { checkUrl } from './egress/address-policy.ts';
import { createCredentials } from './egress/credentials/credentials.ts';
import { createEgressClient } from './egress/egress-client.ts';
import { createEncryption } from './encryption.ts';
import { watchEvents } from './events/watch-events.ts';
import type { ExecutionContext } from './execution/context.ts';
import { createIdempotency } from './execution/idempotency/idempotency.ts';
import { settledWithin } from './execution/idempotency/settled-within.ts';
import { createDiscoverTools, discoverTool } from './execution/internal/discover.ts';
import { createGetCurrentWeather, weatherTool } from './execution/internal/weather.ts';
import { createBulkheads } from './execution/resilience/bulkheads.ts';
import { createCircuitBreaker } from './execution/resilience/circuit-breaker.ts';
import { createHistory } from './history/create-history.ts';
import { installBuiltins } from './install-builtins.ts';
import { readTlsFiles, resolveKeys } from './installation-files.ts';
import type { Logger } from './logging.ts';
import { createLruCache } from './lru-cache.ts';
import { openMessaging } from './messaging.ts';
import { createMetrics } from './metrics.ts';
import { packageRoot } from './package-root.ts';
import { createReadiness } from './readiness.ts';
import { createSharedBudget } from './shared-budget.ts';
import type { ToolsContext } from './tools/context.ts';
import { createTracer } from './tracing/tracer.ts';
import { createAuthenticate } from './transports/authenticate.ts';
import { createApp } from './transports/create-app.ts';
import { createFlights } from './transports/flights.ts';
import { issueToken, type TokenOptions } from './transports/issue-token.ts';
import { createListener } from './transports/listener/listener.ts';
import { createOverload } from './transports/overload/overload.ts';
import { registerRest } from './transports/rest/rest-plugin.ts';
import { registerRpc } from './transports/rpc/rpc-plugin.ts';
import { createLocalWindow } from './transports/throttle/local-window.ts';
import { openRedisWindows } from './transports/throttle/redis-windows.ts';
import { createThrottle } from './transports/throttle.ts';
import { registerTokens } from './transports/tokens.ts';
import { isDeletedUser } from './users/deleted-users-store.ts';
import type { SharedCounterName, WorkerLink } from './workers/worker-link.ts';

/** A running service. */
export interface Service {
  /** Where it listens, without a slash at the end. */
  readonly url: string;
  /** A token for a user, as the platform's authentication service would make one. */
  issueToken(options: TokenOptions): string;
  /**
   * Stops: says "not ready" and serves on for SHUTDOWN_DELAY; lets calls in flight end, for as long as SHUTDOWN_TIMEOUT,
   * then closes everything. Idempotent.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Tools that are kept ready to run, in characters of their definitions; ready, they take some twenty times as much. */
const PREPARED_CHARACTERS = 4 * 1024 * 1024;

/** Calls of all users that wait for their turn: what they are made of is held in memory meanwhile. */
const MAX_QUEUED_CALLS = 20_000;

/** How long what is still to be written or sent may take at the end, while the database or the broker does not answer. */
const LAST_WORDS_MS = 6000;

const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
  version: string;
};

/**
 * Opens what is needed, wires it together, and listens.
 *
 * @param options.now the time in milliseconds since 1970.
 * @param options.openDatabase for tests: opens the database in another way than by its URL.
 * @param options.link to the other processes on this port, where there are any.
 */
export async function startService(
  config: Config,
  {
    logger,
    now = Date.now,
    openDatabase = openDatabaseByUrl,
    link,
  }: {
    logger: Logger;
    now?: () => number;
    openDatabase?: typeof openDatabaseByUrl;
    link?: Pick<WorkerLink, 'counter' | 'metrics'>;
  },
): Promise<Service> {
  const metrics = createMetrics(link?.metrics);
  const logFault = (error: unknown) => logger.error({ err: error }, 'a fault beside the requests');
  const database = watchEvents(
    await openDatabase(config.DATABASE_URL, {
      poolSize: config.DATABASE_POOL_SIZE,
      timeoutMs: config.DATABASE_TIMEOUT,
      migrate: config.MIGRATE,
      logFault,
    }).catch((error: unknown) => {
      throw nameFault('DATABASE_URL', 'cannot be opened', error);
    }),
  );
  const keys = resolveKeys(config, logger);
  const memory = createSharedBudget({
    total: config.MAX_BUFFERED_BYTES,
    perUser: Math.max(config.MAX_BUFFERED_BYTES / 4, config.MAX_OUTPUT_BYTES),
  });
  const egress = createEgressClient({
    allow: config.EGRESS_ALLOW,
    memory,
    connectionsPerOrigin: config.MAX_RUNNING_CALLS_PER_HOST,
  });
  const encryption = createEncryption(keys.encryption);

  const internalFunctions = new Map([
    [
      weatherTool.pointer,
      createGetCurrentWeather({
        egress,
        geocodingUrl: config.WEATHER_GEOCODING_URL,
        forecastUrl: config.WEATHER_FORECAST_URL,
      }),
    ],
    [discoverTool.pointer, createDiscoverTools({ database })],
  ]);
  const tools: ToolsContext = {
    database,
    encryption,
    now,
    checkUrl: (url) => checkUrl(url, config.EGRESS_ALLOW),
    internalFunctions: new Set(internalFunctions.keys()),
    limits: {
      toolsPerUser: config.MAX_TOOLS_PER_USER,
      definitionBytes: config.MAX_DEFINITION_BYTES,
      answerBytes: config.MAX_ANSWER_BYTES,
    },
  };
  const tracer = await createTracer({
    endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
    serviceName: config.OTEL_SERVICE_NAME,
    serviceVersion: version,
    logFault,
  });
  const history = createHistory({
    database,
    encryption,
    payloads: config.EXECUTION_PAYLOADS,
    retentionMs: config.EXECUTION_RETENTION,
    now,
    logFault,
  });
  const idempotency = createIdempotency({ database, encryption, now, logFault });
  const bulkheads = createBulkheads({
    running: config.MAX_RUNNING_CALLS,
    perUser: config.MAX_RUNNING_CALLS_PER_USER,
    perHost: config.MAX_RUNNING_CALLS_PER_HOST,
    queuedPerUser: config.MAX_QUEUED_CALLS_PER_USER,
    queued: MAX_QUEUED_CALLS,
  });
  const callsUnderWay = createSharedBudget({
    total: config.MAX_RUNNING_CALLS + MAX_QUEUED_CALLS,
    perUser: config.MAX_RUNNING_CALLS_PER_USER + config.MAX_QUEUED_CALLS_PER_USER,
  });
  const circuitBreaker = createCircuitBreaker({
    now: () => performance.now(),
    random: Math.random,
  });
  metrics.watch(() => ({
    running: bulkheads.running,
    waiting: bulkheads.waiting,
    openCircuits: circuitBreaker.open,
  }));
  const execution: ExecutionContext = {
    database,
    encryption,
    egress,
    credentials: createCredentials({ egress, now }),
    bulkheads,
    callsUnderWay,
    memory,
    circuitBreaker,
    idempotency,
    history,
    tracer,
    internalFunctions,
    preparedTools: createLruCache(PREPARED_CHARACTERS, ({ size }) => size),
    metrics,
    now,
    logFault: (error, { requestId, toolId }) =>
      logger.error({ err: error, requestId, toolId }, 'tool failed'),
    limits: {
      callsPerRequest: config.MAX_CALLS_PER_REQUEST,
      timeoutMs: config.EXECUTION_TIMEOUT,
      responseBytes: config.MAX_RESPONSE_BYTES,
      outputBytes: config.MAX_OUTPUT_BYTES,
    },
  };
  const installing = installBuiltins({ tools, logger });
  await installing.firstAttempt;
  const messaging = openMessaging({ url: config.RABBITMQ_URL, database, metrics, logger, now });
  const redis =
    config.REDIS_URL === undefined
      ? undefined
      : await openRedisWindows({
          url: config.REDIS_URL,
          user: config.RATE_LIMIT_USER,
          anonymous: config.RATE_LIMIT_ANON,
          now,
          logger,
        });
  const listener = createListener({
    maxHeaderBytes: config.MAX_HEADER_BYTES,
    maxStreamsPerConnection: config.MAX_STREAMS_PER_CONNECTION,
    maxConnections: config.MAX_CONNECTIONS,
    handshakeTimeoutMs: config.HEADERS_TIMEOUT,
    headersTimeoutMs: config.HEADERS_TIMEOUT,
    requestTimeoutMs: config.REQUEST_TIMEOUT,
    idleTimeoutMs: config.IDLE_TIMEOUT,
    ...readTlsFiles(config),
  });
  const stopping = new AbortController();
  const flights = createFlights();
  const overload =
    config.MAX_LOOP_DELAY === null
      ? undefined
      : createOverload({ maxLoopDelayMs: config.MAX_LOOP_DELAY, logger, onRefused: metrics.refused });
  const app = await createApp({
    listener,
    logger,
    metrics,
    tracer,
    flights,
    ...(overload ? { overload } : {}),
    trustedProxies: config.TRUST_PROXY,
    corsOrigins: config.CORS_ORIGINS,
    maxBodyBytes: config.MAX_BODY_BYTES,
    isDraining: () => stopping.signal.aborted,
  });
  const tokens = await registerTokens(app, keys.jwt);
  const countsOf = (name: SharedCounterName, limit: RateLimit) => {
    const local = createLocalWindow(limit, now);
    return link && limit ? link.counter(name, local, logFault) : local;
  };
  const shared = {
    tools,
    execution,
    history: { database, encryption },
    metrics,
    authenticate: createAuthenticate({
      tokens,
      issuer: config.JWT_ISSUER,
      serviceTokens: config.SERVICE_TOKENS,
      isDeletedUser: (userId) => isDeletedUser(database, userId),
      now,
    }),
    throttle: createThrottle(
      redis ?? {
        users: countsOf('throttle-users', config.RATE_LIMIT_USER),
        addresses: countsOf('throttle-addresses', config.RATE_LIMIT_ANON),
      },
    ),
    ready: createReadiness({
      database,
      rabbitmq: () => messaging.state,
      redis: () => (redis === undefined ? 'off' : redis.state === 'connected' ? 'ok' : 'away'),
      isStopping: () => stopping.signal.aborted,
      logFault: (error) => logger.error({ err: error }, 'the database is not ready'),
    }),
    limits: {
      toolIdsPerRequest: config.MAX_TOOL_IDS_PER_REQUEST,
      messageBytes: config.MAX_MESSAGE_BYTES,
    },
  };
  await registerRest(app, { ...shared, version });
  await registerRpc(app, {
    ...shared,
    stopping: stopping.signal,
    trustedNetwork: config.RPC_AUTH === 'trusted-network',
  });

  const close = callOnce(async () => {
    stopping.abort();
    // A balancer sends its calls elsewhere once it has heard "not ready"; until then all of them are served.
    if (app.server.listening) await sleep(config.SHUTDOWN_DELAY);
    const deadline = performance.now() + config.SHUTDOWN_TIMEOUT;
    // The port stays open until the calls of this moment have ended, so that who asks is told "not ready".
    await flights.landed(config.SHUTDOWN_TIMEOUT);
    await listener.drain(Math.max(0, deadline - performance.now()));
    await app.close();
    overload?.close();
    redis?.close();
    await egress.close();
    const lastWords = [installing, idempotency, messaging, history, tracer].map((each) => each.close());
    await settledWithin(Promise.allSettled(lastWords), LAST_WORDS_MS);
    await database.close();
  });

  try {
    await app.ready();
    app.server.listen({ host: config.HOST, port: config.PORT });
    await once(app.server, 'listening');
  } catch (error) {
    await close();
    throw cannotListen(error);
  }
  const url = listeningUrl(app.server.address() as AddressInfo, config.TLS_CERT_FILE !== undefined);
  return {
    url,
    issueToken: (options) => issueToken(tokens, config.JWT_ISSUER, now(), options),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function cannotListen(error: unknown): unknown {
  const inUse = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
  if (inUse) return new ConfigError('PORT is in use by another process', { cause: error });
  return nameFault('HOST or PORT', 'cannot be listened on', error);
}

function listeningUrl({ address, family, port }: AddressInfo, tls: boolean): string {
  return `${tls ? 'https' : 'http'}://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

/** Calls `work` at the first call; later calls get its promise. */
function callOnce<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => {
    result ??= work();
    return result;
  };
}

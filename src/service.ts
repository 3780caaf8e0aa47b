import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { type Config, ConfigError } from './config.ts';
import { openDatabase } from './db/open-database.ts';
import { checkUrl } from './egress/address-policy.ts';
import { createCredentials } from './egress/credentials/credentials.ts';
import { createEgressClient } from './egress/egress-client.ts';
import { createEncryption } from './encryption.ts';
import type { ExecutionContext } from './execution/context.ts';
import { createIdempotency } from './execution/idempotency/idempotency.ts';
import { createDiscoverTools, discoverTool } from './execution/internal/discover.ts';
import { createGetCurrentWeather, weatherTool } from './execution/internal/weather.ts';
import { createBulkheads } from './execution/resilience/bulkheads.ts';
import { createCircuitBreaker } from './execution/resilience/circuit-breaker.ts';
import { createHistory } from './history/create-history.ts';
import { loadOrCreateKey, localFolder } from './local-keys.ts';
import type { Logger } from './logging.ts';
import { createLruCache } from './lru-cache.ts';
import { createMetrics } from './metrics.ts';
import { packageRoot } from './package-root.ts';
import { createSharedBudget } from './shared-budget.ts';
import { reportSettings } from './start-report.ts';
import type { ToolsContext } from './tools/context.ts';
import { installBuiltinTools } from './tools/install-builtin-tools.ts';
import { createTracer } from './tracing/tracer.ts';
import { createAuthenticate } from './transports/authenticate.ts';
import { createApp } from './transports/create-app.ts';
import { createFlights } from './transports/flights.ts';
import { issueToken, type TokenOptions } from './transports/issue-token.ts';
import { createListener } from './transports/listener/listener.ts';
import { registerRest } from './transports/rest/rest-plugin.ts';
import { registerRpc } from './transports/rpc/rpc-plugin.ts';
import { createThrottle } from './transports/throttle.ts';
import { registerTokens } from './transports/tokens.ts';

/** A running service. */
export interface Service {
  /** Where it listens, without a slash at the end. */
  readonly url: string;
  /** A token for a user, as the platform's authentication service would make one. */
  issueToken(options: TokenOptions): string;
  /**
   * Stops: says "not ready", lets calls in flight end, for as long as SHUTDOWN_TIMEOUT, then closes everything.
   * Idempotent.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Tools that are kept ready to run, in characters of their definitions; ready, they take some twenty times as much. */
const PREPARED_CHARACTERS = 4 * 1024 * 1024;

/** Calls of all users that wait for their turn: what they are made of is held in memory meanwhile. */
const MAX_QUEUED_CALLS = 20_000;

const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
  version: string;
};

/**
 * Opens what is needed, wires it together, and listens.
 *
 * @param options.now the time in milliseconds since 1970.
 */
export async function startService(
  config: Config,
  { logger, now = Date.now }: { logger: Logger; now?: () => number },
): Promise<Service> {
  reportSettings(config, logger);
  const metrics = createMetrics();
  const logFault = (error: unknown) => logger.error({ err: error }, 'a fault beside the requests');
  const database = await openDatabase(config.DATABASE_URL, {
    poolSize: config.DATABASE_POOL_SIZE,
    timeoutMs: config.DATABASE_TIMEOUT,
    migrate: config.MIGRATE,
    logFault,
  }).catch((error: unknown) => {
    throw nameFault('DATABASE_URL', 'cannot be opened', error);
  });
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
  for (const name of await installBuiltinTools(tools, [weatherTool, discoverTool])) {
    logger.warn({ tool: name }, 'a built-in tool is not installed: another system tool bears its name');
  }

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
  const app = await createApp({
    listener,
    logger,
    metrics,
    tracer,
    flights,
    trustedProxies: config.TRUST_PROXY,
    corsOrigins: config.CORS_ORIGINS,
    maxBodyBytes: config.MAX_BODY_BYTES,
    isDraining: () => stopping.signal.aborted,
  });
  const tokens = await registerTokens(app, keys.jwt);
  const shared = {
    tools,
    execution,
    history: { database, encryption },
    metrics,
    authenticate: createAuthenticate({
      tokens,
      issuer: config.JWT_ISSUER,
      serviceTokens: config.SERVICE_TOKENS,
      now,
    }),
    throttle: createThrottle({ user: config.RATE_LIMIT_USER, anonymous: config.RATE_LIMIT_ANON, now }),
    ready: async () => {
      if (stopping.signal.aborted) throw new Error('shutting down');
      await database.check().catch((error: unknown) => {
        logger.error({ err: error }, 'the database does not answer');
        throw new Error('the database does not answer');
      });
    },
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
    const deadline = performance.now() + config.SHUTDOWN_TIMEOUT;
    stopping.abort();
    // The port stays open until the calls of this moment have ended, so that who asks is told "not ready".
    await flights.landed(config.SHUTDOWN_TIMEOUT);
    await listener.drain(Math.max(0, deadline - performance.now()));
    await app.close();
    await egress.close();
    await idempotency.close();
    await history.close();
    await tracer.close();
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

/** The keys of the settings, or those of this installation where none are set. */
function resolveKeys(config: Config, logger: Logger): { jwt: string[]; encryption: Buffer[] } {
  const local = (variable: string, name: string) => {
    const { key, file, created } = naming(
      variable,
      'is not set, and no key can be kept beside the database',
      () => loadOrCreateKey(localFolder(config.DATABASE_URL), name),
    );
    logger.info(
      { variable, file },
      created ? 'a key was made, since none is set' : 'using the key made before',
    );
    return key;
  };
  const current = config.JWT_SECRET_KEY ?? local('JWT_SECRET_KEY', 'jwt-secret-key');
  const previous = config.JWT_SECRET_KEY_PREVIOUS;
  return {
    jwt: previous === undefined ? [current] : [current, previous],
    encryption: config.ENCRYPTION_KEY ?? [Buffer.from(local('ENCRYPTION_KEY', 'encryption-key'), 'base64')],
  };
}

function readTlsFiles(config: Config) {
  if (config.TLS_CERT_FILE === undefined || config.TLS_KEY_FILE === undefined) return {};
  const read = (variable: 'TLS_CERT_FILE' | 'TLS_KEY_FILE') =>
    naming(variable, 'names a file that cannot be read', () => readFileSync(config[variable] ?? ''));
  const tls = { cert: read('TLS_CERT_FILE'), key: read('TLS_KEY_FILE') };
  naming('TLS_CERT_FILE', 'and TLS_KEY_FILE are no certificate with its key in PEM', () =>
    createSecureContext(tls),
  );
  return { tls };
}

/** Does what a setting asks for; where that fails, the error names the setting and the system's reason in one line. */
function naming<T>(variable: string, words: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw nameFault(variable, words, error);
  }
}

function nameFault(variable: string, words: string, error: unknown): ConfigError {
  return new ConfigError(`${variable} ${words}${reasonOf(error)}`, { cause: error });
}

function cannotListen(error: unknown): unknown {
  const inUse = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
  if (inUse) return new ConfigError('PORT is in use by another process', { cause: error });
  return new ConfigError(`HOST or PORT cannot be listened on${reasonOf(error)}`, { cause: error });
}

function reasonOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
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

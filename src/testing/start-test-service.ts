import { dirname, join } from 'node:path';
import { Writable } from 'node:stream';
import { parseConfig } from '../config.ts';
import { openDatabase } from '../db/open-database.ts';
import { createLogger } from '../logging.ts';
import { type Service, startService } from '../service.ts';
import { type Engine, makeTestDatabase, type TestPlace } from './test-database.ts';

export const JWT_KEY = 'a key for tests that has more than 32 bytes';

/** The same for all services of tests that are told of none, as replicas need it. */
const ENCRYPTION_KEY = Buffer.alloc(32, 5).toString('base64');

/** A service for a test: on a free port, with a database of its own that goes when it closes. */
export interface TestService extends Service {
  /** The lines of its log, parsed. */
  readonly log: readonly Record<string, unknown>[];
  /** The folder of its database; empty where it is none of SQLite. */
  readonly folder: string;
  /** Runs SQL that all engines know on its database, past it. */
  execute(statements: string): Promise<void>;
}

export interface TestServiceOptions {
  readonly now?: () => number;
  /** A folder with a SQLite database, for a service that starts again on the same; it stays then. */
  readonly folder?: string;
  /** A database of `makeTestDatabase`, for several services that share one; it stays then. */
  readonly database?: TestPlace;
  /** The engine of its own database, where it is not the default. */
  readonly engine?: Engine;
}

/**
 * Starts a service whose webhooks may reach this machine's loopback addresses. Close it by scope: `await using`.
 *
 * @param settings environment variables, over those of a test.
 */
export async function startTestService(
  settings: Readonly<Record<string, string>> = {},
  { now, folder, database, engine }: TestServiceOptions = {},
): Promise<TestService> {
  const isElsewhere = folder !== undefined || settings.DATABASE_URL !== undefined;
  const own = isElsewhere || database ? undefined : await makeTestDatabase(engine);
  const place = own ?? database;
  const config = parseConfig({
    NODE_ENV: 'test',
    PORT: '0',
    DATABASE_URL: place ? urlOf(place) : `file:${join(folder ?? '', 'tools.db')}`,
    DATABASE_POOL_SIZE: '4',
    JWT_SECRET_KEY: JWT_KEY,
    ...(place?.url.dialect === 'postgres' ? { ENCRYPTION_KEY } : {}),
    EGRESS_ALLOW: '127.0.0.0/8',
    RATE_LIMIT_USER: 'off',
    RATE_LIMIT_ANON: 'off',
    SHUTDOWN_TIMEOUT: '2s',
    // A test shares its event loop with the service.
    MAX_LOOP_DELAY: 'off',
    WEATHER_GEOCODING_URL: 'http://127.0.0.1:9',
    WEATHER_FORECAST_URL: 'http://127.0.0.1:9',
    ...settings,
  });
  const { log, stream } = captureLog();
  const logger = await createLogger(config.LOG_LEVEL, stream);
  const service = await startService(config, {
    logger,
    ...(now ? { now } : {}),
    openDatabase: (url, options) => place?.open(options) ?? openDatabase(url, options),
  }).catch(async (error: unknown) => {
    await own?.remove();
    throw error;
  });
  const close = async () => {
    await service.close();
    await own?.remove();
  };
  return {
    ...service,
    log,
    folder: folder ?? (place?.url.dialect === 'sqlite' ? dirname(place.url.file) : ''),
    execute: async (statements) => {
      if (!place) throw new Error('the database is elsewhere');
      await place.execute(statements);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function urlOf({ url }: TestPlace): string {
  return url.dialect === 'sqlite' ? `file:${url.file}` : url.url;
}

function captureLog(): { log: Record<string, unknown>[]; stream: Writable } {
  const log: Record<string, unknown>[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      for (const line of chunk.toString('utf8').split('\n')) {
        if (line !== '') log.push(JSON.parse(line) as Record<string, unknown>);
      }
      done();
    },
  });
  return { log, stream };
}

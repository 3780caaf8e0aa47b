import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { parseConfig } from '../config.ts';
import { createLogger } from '../logging.ts';
import { type Service, startService } from '../service.ts';

export const JWT_KEY = 'a key for tests that has more than 32 bytes';

/** A service for a test: on a free port, with a database of its own that goes when it closes. */
export interface TestService extends Service {
  /** The lines of its log, parsed. */
  readonly log: readonly Record<string, unknown>[];
  /** The folder of its database. */
  readonly folder: string;
}

/**
 * Starts a service whose webhooks may reach this machine's loopback addresses. Close it by scope: `await using`.
 *
 * @param settings environment variables, over those of a test.
 * @param options.folder where the database is, for a service that starts again on the same; it stays then.
 */
export async function startTestService(
  settings: Readonly<Record<string, string>> = {},
  options: { now?: () => number; folder?: string } = {},
): Promise<TestService> {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'tool-service-'));
  const config = parseConfig({
    NODE_ENV: 'test',
    PORT: '0',
    DATABASE_URL: `file:${join(folder, 'tools.db')}`,
    JWT_SECRET_KEY: JWT_KEY,
    EGRESS_ALLOW: '127.0.0.0/8',
    RATE_LIMIT_USER: 'off',
    RATE_LIMIT_ANON: 'off',
    SHUTDOWN_TIMEOUT: '2s',
    WEATHER_GEOCODING_URL: 'http://127.0.0.1:9',
    WEATHER_FORECAST_URL: 'http://127.0.0.1:9',
    ...settings,
  });
  const { log, stream } = captureLog();
  const logger = await createLogger(config.LOG_LEVEL, stream);
  const service = await startService(config, { logger, ...(options.now ? { now: options.now } : {}) });
  const close = async () => {
    await service.close();
    if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
  };
  return { ...service, log, folder, close, [Symbol.asyncDispose]: close };
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

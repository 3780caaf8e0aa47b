import { existsSync } from 'node:fs';
import { ConfigError, parseConfig } from './config.ts';
import { createLogger } from './logging.ts';
import { startService } from './service.ts';
import { welcome } from './welcome.ts';

// Only this file and the commands in cli/ touch the process: its environment, its signals, its streams, its exit.

try {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const config = parseConfig(process.env);
  const logger = await createLogger(config.LOG_LEVEL, process.stdout);
  process.on('unhandledRejection', (error) => logger.error({ err: error }, 'unhandled rejection'));

  const service = await startService(config, { logger });
  logger.info({ url: service.url, pid: process.pid }, `listening on ${service.url}`);
  // Not a line of the log, which is JSON and holds no token.
  if (config.NODE_ENV !== 'production') process.stderr.write(welcome(service));

  let stopping = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stopping) process.exit(1);
      stopping = true;
      logger.info({ signal }, 'stopping');
      service.close().then(
        () => {
          logger.info('stopped');
          process.exit(0);
        },
        (error: unknown) => {
          logger.fatal({ err: error }, 'stopping failed');
          process.exit(1);
        },
      );
    });
  }
} catch (error) {
  process.stderr.write(`${startFault(error)}\n`);
  process.exit(1);
}

/** One line for what the operator can mend; more for what they cannot. */
function startFault(error: unknown): string {
  if (error instanceof ConfigError) return `Configuration: ${error.message}`;
  return `The service could not start: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}

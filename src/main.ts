import cluster from 'node:cluster';
import { existsSync } from 'node:fs';
import { type Config, ConfigError, parseConfig } from './config.ts';
import { createLogger, type Logger } from './logging.ts';
import { reportSettings } from './start-report.ts';
import { createLocalWindow } from './transports/throttle/local-window.ts';
import { channelOf } from './workers/channel.ts';
import { forkWorker } from './workers/fork-worker.ts';
import type { Handler } from './workers/peer.ts';
import { startWorkers, WorkersError } from './workers/start-workers.ts';
import { createWorkerLink, type SharedCounterName } from './workers/worker-link.ts';

// Only this file and the commands in cli/ touch the process: its environment, its signals, its streams, its exit.
// It is the program of a single process, and with WORKERS=n, of the primary as well as of its workers.

/** What can be stopped. */
interface Running {
  close(): Promise<void>;
  /** Ends what would outlive this process. */
  kill?(): void;
}

const { worker } = cluster;
const link = worker ? createWorkerLink(channelOf(worker)) : undefined;

try {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const config = parseConfig(process.env);
  const log = await createLogger(config.LOG_LEVEL, process.stdout);
  const logger = worker ? log.child({ worker: worker.id, pid: process.pid }) : log;
  process.on('unhandledRejection', (error) => logger.error({ err: error }, 'unhandled rejection'));
  if (!worker) reportSettings(config, logger);
  if (config.WORKERS > 1 && !worker) await runPrimary(config, logger);
  else await runService(config, logger);
} catch (error) {
  const line = startFault(error);
  if (link) await link.failed(line);
  else process.stderr.write(`${line}\n`);
  process.exit(1);
}

/** Runs the service in this process, alone or as one of several on a port. */
async function runService(config: Config, logger: Logger): Promise<void> {
  // Only here: the primary needs neither the memory nor the time that it takes.
  const [{ startService }, { welcome }] = await Promise.all([import('./service.ts'), import('./welcome.ts')]);
  const service = await startService(config, { logger, ...(link ? { link } : {}) });
  const stop = stopOnSignals(service, logger);
  if (!worker || !link) {
    announce(config, logger, { url: service.url, welcome: welcome(service) });
    return;
  }
  link.onStop(() => {
    // Else Node ends the process in the moment in which its primary is gone, with calls in flight.
    worker.exitedAfterDisconnect = true;
    stop('the primary');
  });
  await link.ready({ url: service.url, welcome: welcome(service) });
}

/** Runs the service in several processes, which this one starts and looks after. It serves nothing itself. */
async function runPrimary(config: Config, logger: Logger): Promise<void> {
  const users = createLocalWindow(config.RATE_LIMIT_USER, Date.now);
  const addresses = createLocalWindow(config.RATE_LIMIT_ANON, Date.now);
  const workers = await startWorkers({
    count: config.WORKERS,
    logger,
    handlers: {
      'throttle-users': (key) => users.take(String(key)),
      'throttle-addresses': (key) => addresses.take(String(key)),
    } satisfies Record<SharedCounterName, Handler>,
    stopLimitMs: config.SHUTDOWN_DELAY + config.SHUTDOWN_TIMEOUT + 10_000,
    fork: forkWorker,
    onFailed(error) {
      process.stderr.write(`${error.message}\n`);
      process.exit(1);
    },
  });
  stopOnSignals(workers, logger);
  announce(config, logger, workers);
}

function announce(config: Config, logger: Logger, { url, welcome }: { url: string; welcome: string }): void {
  logger.info({ url, pid: process.pid }, `listening on ${url}`);
  // Not a line of the log, which is JSON and holds no token.
  if (config.NODE_ENV !== 'production') process.stderr.write(welcome);
}

/**
 * Stops at the first signal and ends the process; at the second, ends it at once.
 *
 * @returns what stops it likewise, but is no signal: what reaches the primary's whole group (Ctrl-C, systemd) comes to a
 * worker from both sides.
 */
function stopOnSignals(running: Running, logger: Logger): (cause: string) => void {
  let stopping = false;
  const stop = (signal: string) => {
    if (stopping) return;
    stopping = true;
    logger.info({ signal }, 'stopping');
    running.close().then(
      () => {
        logger.info('stopped');
        process.exit(0);
      },
      (error: unknown) => {
        logger.fatal({ err: error }, 'stopping failed');
        process.exit(1);
      },
    );
  };
  let isSignalled = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (isSignalled) {
        running.kill?.();
        process.exit(1);
      }
      isSignalled = true;
      stop(signal);
    });
  }
  return stop;
}

/** One line for what the operator can mend; more for what they cannot. */
function startFault(error: unknown): string {
  if (error instanceof ConfigError) return `Configuration: ${error.message}`;
  if (error instanceof WorkersError) return error.message;
  return `The service could not start: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}

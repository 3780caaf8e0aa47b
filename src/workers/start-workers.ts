import type { Logger } from '../logging.ts';
import type { Channel } from './channel.ts';
import { createPeer, type Handler, type Peer } from './peer.ts';
import type { WorkerReady } from './worker-link.ts';

/** A process of this service, as whoever forked it has it. */
export interface WorkerProcess {
  readonly id: number;
  readonly pid: number | undefined;
  readonly channel: Channel;
  /** Calls back once it has ended: with its exit code, or the signal that ended it, or why it could not be started. */
  onExit(listener: (code: number | null, signal: string | null) => void): void;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
}

/** The workers cannot be started or kept running. The message is what the operator is told. */
export class WorkersError extends Error {
  override readonly name = 'WorkersError';
}

/** Processes that serve one port. */
export interface Workers extends WorkerReady {
  /**
   * Stops them all at once, each as a single process would. Rejects when one has to be killed, or ends with a fault.
   * Idempotent.
   */
  close(): Promise<void>;
  /** Ends them without ado. */
  kill(): void;
}

const TIMING = {
  /** The pause before a worker that ended is replaced, which doubles with each that does not last. */
  firstPauseMs: 100,
  longestPauseMs: 30_000,
  /** A worker that served for so long has lasted. */
  lastingMs: 10_000,
  /** How long one worker's answer for metrics is waited for. */
  metricsLimitMs: 1000,
};

/** So many starts in a row may fail while nobody serves. */
const MAX_FAILED_STARTS = 5;

export interface WorkersOptions {
  readonly count: number;
  /** One that throws is tried again, as where the process ends at once. */
  readonly fork: () => WorkerProcess;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>;
  /** What the workers may ask, by name. */
  readonly handlers: Readonly<Record<string, Handler>>;
  /** How long a worker may take to stop, in milliseconds; then it is killed. */
  readonly stopLimitMs: number;
  /** Told when no worker can be started any more; all are gone then. */
  readonly onFailed: (error: WorkersError) => void;
  readonly timing?: Partial<typeof TIMING>;
}

interface Worker {
  readonly child: WorkerProcess;
  readonly peer: Peer;
  readyAt: number | undefined;
  reason: string | undefined;
}

/**
 * Starts workers, and replaces each that ends. The first goes ahead: it migrates the database and makes the keys, and
 * where it cannot start, no other could.
 *
 * @returns when the first one serves.
 * @throws WorkersError with its reason when it ends before.
 */
export async function startWorkers(options: WorkersOptions): Promise<Workers> {
  const { count, logger, handlers, stopLimitMs, onFailed } = options;
  const timing = { ...TIMING, ...options.timing };
  const workers = new Set<Worker>();
  const pauses = new Set<NodeJS.Timeout>();
  /** Workers in a row that did not last. */
  let shortLived = 0;
  let isStopping = false;
  /** How those ended that should have stopped in order. */
  const stopFaults: string[] = [];
  let whenEmpty: () => void = () => {};

  const serving = () => [...workers].filter(({ readyAt }) => readyAt !== undefined);

  /** What each worker that answers in time answers, in no order. */
  async function collect(name: string): Promise<unknown[]> {
    const answers = await Promise.allSettled(
      serving().map(({ peer }) => peer.ask(name, null, timing.metricsLimitMs)),
    );
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  }

  function tryToFork(): WorkerProcess {
    try {
      return options.fork();
    } catch (error) {
      return unstartedProcess(error);
    }
  }

  function fork(ended: (worker: Worker, how: string) => void): Promise<WorkerReady> {
    const child = tryToFork();
    const worker: Worker = {
      child,
      peer: createPeer(child.channel),
      readyAt: undefined,
      reason: undefined,
    };
    workers.add(worker);
    for (const [name, handler] of Object.entries(handlers)) worker.peer.handle(name, handler);
    worker.peer.handle('collect-metrics', () => collect('metrics'));
    worker.peer.handle('failed', (reason) => {
      worker.reason = String(reason);
    });
    child.onExit((code, signal) => {
      workers.delete(worker);
      const how = signal === null ? `code ${code}` : signal;
      // One that was still starting was in the way of nothing, however it ended.
      if (isStopping && code !== 0 && worker.readyAt !== undefined) stopFaults.push(how);
      ended(worker, how);
      if (workers.size === 0) whenEmpty();
    });
    return new Promise((resolve) => {
      worker.peer.handle('ready', (ready) => {
        worker.readyAt = performance.now();
        logger.info({ worker: child.id, pid: child.pid }, 'a worker serves');
        resolve(ready as WorkerReady);
      });
    });
  }

  function replaceWhenEnded({ child, readyAt, reason }: Worker, how: string): void {
    if (isStopping) return;
    const hasLasted = readyAt !== undefined && performance.now() - readyAt >= timing.lastingMs;
    shortLived = hasLasted ? 0 : shortLived + 1;
    logger.error({ worker: child.id, pid: child.pid, how, reason }, 'a worker ended by itself');
    if (shortLived >= MAX_FAILED_STARTS && readyAt === undefined && serving().length === 0) {
      fail(new WorkersError(reason ?? `No worker can be started any more: the last one ended (${how}).`));
      return;
    }
    const pauseMs = Math.min(timing.firstPauseMs * 2 ** Math.max(0, shortLived - 1), timing.longestPauseMs);
    const pause = setTimeout(() => {
      pauses.delete(pause);
      void fork(replaceWhenEnded);
    }, pauseMs);
    pauses.add(pause);
  }

  function kill(): void {
    isStopping = true;
    for (const pause of pauses) clearTimeout(pause);
    for (const { child } of workers) child.kill('SIGKILL');
  }

  function fail(error: WorkersError): void {
    kill();
    onFailed(error);
  }

  let closed: Promise<void> | undefined;
  async function close(): Promise<void> {
    isStopping = true;
    for (const pause of pauses) clearTimeout(pause);
    if (workers.size === 0) return;
    const empty = new Promise<void>((resolve) => {
      whenEmpty = resolve;
    });
    for (const { child, peer, readyAt } of workers) {
      // One that is still starting has nothing to finish, and does not listen yet.
      if (readyAt === undefined) child.kill('SIGTERM');
      else peer.ask('stop', null, stopLimitMs).catch(() => {});
    }
    let late = 0;
    const limit = setTimeout(() => {
      late = workers.size;
      kill();
    }, stopLimitMs);
    await empty;
    clearTimeout(limit);
    if (late > 0) throw new Error(`${late} of ${count} workers did not stop in time and were killed`);
    if (stopFaults.length > 0) {
      throw new Error(
        `${stopFaults.length} of ${count} workers stopped with a fault (${stopFaults.join(', ')})`,
      );
    }
  }

  const ready = await new Promise<WorkerReady>((resolve, reject) => {
    fork((worker, how) => {
      if (worker.readyAt !== undefined) replaceWhenEnded(worker, how);
      else reject(new WorkersError(worker.reason ?? `The service could not start: it ended (${how}).`));
    }).then(resolve, reject);
  });
  for (let started = 1; started < count; started++) void fork(replaceWhenEnded);

  return {
    ...ready,
    close: () => {
      closed ??= close();
      return closed;
    },
    kill,
  };
}

/** Stands for a process that never was, and ends at once. */
function unstartedProcess(error: unknown): WorkerProcess {
  return {
    id: 0,
    pid: undefined,
    channel: { send() {}, onMessage() {}, onClosed() {} },
    onExit: (listener) => void setImmediate(() => listener(null, codeOf(error))),
    kill() {},
  };
}

/** The system's code of an error, such as EAGAIN. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'not started';
}

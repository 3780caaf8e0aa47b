import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { startWorkers, type WorkerProcess, WorkersError, type WorkersOptions } from './start-workers.ts';
import { createTestChannels } from './test-channel.ts';
import { createWorkerLink, type WorkerLink } from './worker-link.ts';

/** A worker that is no process. */
interface TestWorker {
  readonly process: WorkerProcess;
  readonly link: WorkerLink;
  readonly killed: readonly string[];
  end(code: number | null, signal?: string): void;
}

function createTestWorker(id: number): TestWorker {
  const [near, far] = createTestChannels();
  const killed: string[] = [];
  let exited: (code: number | null, signal: string | null) => void = () => {};
  let hasEnded = false;
  const end = (code: number | null, signal: string | null = null) => {
    if (hasEnded) return;
    hasEnded = true;
    near.close();
    exited(code, signal);
  };
  return {
    link: createWorkerLink(far),
    killed,
    end,
    process: {
      id,
      pid: id,
      channel: near,
      onExit(listener) {
        exited = listener;
      },
      kill(signal) {
        killed.push(signal);
        setImmediate(() => end(null, signal));
      },
    },
  };
}

/** Starts workers whose life is `live`. */
function start(live: (worker: TestWorker) => void, options: Partial<WorkersOptions> = {}) {
  const forked: TestWorker[] = [];
  const failures: WorkersError[] = [];
  const workers = startWorkers({
    count: 3,
    logger: pino({ level: 'silent' }),
    handlers: {},
    stopLimitMs: 1000,
    onFailed: (error) => failures.push(error),
    timing: { firstPauseMs: 1, longestPauseMs: 10, metricsLimitMs: 50 },
    fork() {
      const worker = createTestWorker(forked.length + 1);
      forked.push(worker);
      setImmediate(() => live(worker));
      return worker.process;
    },
    ...options,
  });
  return { workers, forked, failures };
}

const ready = { url: 'http://localhost', welcome: '' };

/** Serves until it is told to stop. */
function serve({ link, end }: TestWorker): void {
  link.onStop(() => setImmediate(() => end(0)));
  void link.ready(ready);
}

describe('startWorkers', () => {
  it('has the first one start alone, then the others; close stops them all', async () => {
    const { workers, forked } = start((worker) => {
      if (worker.process.id === 1) expect(forked).toHaveLength(1);
      serve(worker);
    });
    const { url, close } = await workers;
    expect(url).toBe(ready.url);
    expect(forked).toHaveLength(3);
    await Promise.all([close(), close()]);
    expect(forked).toHaveLength(3);
  });

  it('fails with the reason of the first one, and starts no other', async () => {
    const { workers, forked } = start(async ({ link, end }) => {
      await link.failed('Configuration: PORT is in use by another process');
      end(1);
    });
    await expect(workers).rejects.toEqual(
      new WorkersError('Configuration: PORT is in use by another process'),
    );
    expect(forked).toHaveLength(1);
  });

  it('fails with how it ended where the first one gave no reason', async () => {
    const { workers } = start(({ end }) => end(null, 'SIGKILL'));
    await expect(workers).rejects.toThrow(/SIGKILL/);
  });

  it('replaces each that ends', async () => {
    const { workers, forked } = start(serve);
    const { close } = await workers;
    for (let count = 3; count < 10; count++) {
      forked.at(-1)?.end(null, 'SIGSEGV');
      await expect.poll(() => forked.length, { interval: 5 }).toBe(count + 1);
    }
    await close();
    expect(forked).toHaveLength(10);
  });

  it('gives up when nobody serves and none can start', async () => {
    let isBroken = false;
    const { workers, forked, failures } = start(async (worker) => {
      if (!isBroken) return serve(worker);
      await worker.link.failed('Configuration: DATABASE_URL cannot be opened');
      worker.end(1);
    });
    const { close } = await workers;
    isBroken = true;
    for (const worker of [...forked]) worker.end(1);
    await expect
      .poll(() => failures)
      .toEqual([new WorkersError('Configuration: DATABASE_URL cannot be opened')]);
    await close();
  });

  it('goes on trying as long as somebody serves', async () => {
    let isBroken = false;
    const { workers, forked, failures } = start((worker) => (isBroken ? worker.end(1) : serve(worker)));
    const { close } = await workers;
    isBroken = true;
    forked[1]?.end(1);
    await expect.poll(() => forked.length).toBeGreaterThan(10);
    expect(failures).toEqual([]);
    await close();
  });

  it('kills one that does not stop in time, and says so', async () => {
    const { workers, forked } = start(({ link }) => void link.ready(ready), { stopLimitMs: 30 });
    const { close } = await workers;
    await expect.poll(() => forked.length).toBe(3);
    await expect(close()).rejects.toThrow(/killed/);
    expect(forked.every(({ killed }) => killed.at(-1) === 'SIGKILL' || killed.at(-1) === 'SIGTERM')).toBe(
      true,
    );
  });

  it('says so when one stops with a fault, and not of one that was still starting', async () => {
    const codes = [1, 0, 0];
    const { workers, forked } = start((worker) => {
      const { link, end } = worker;
      link.onStop(() => setImmediate(() => end(codes[worker.process.id - 1] ?? 0)));
      if (worker.process.id !== 3) void link.ready(ready);
    });
    const { close } = await workers;
    await expect.poll(() => forked.length).toBe(3);
    const [, second] = forked;
    await expect.poll(() => second?.link.metrics.collect().catch(() => 'not yet')).toEqual([]);
    await expect(close()).rejects.toThrow(/^1 of 3 workers stopped with a fault \(code 1\)$/);
    expect(forked[2]?.killed).toEqual(['SIGTERM']);
  });

  it('goes on trying where the system refuses to start another', async () => {
    let refusals = 0;
    const forked: TestWorker[] = [];
    const { workers, failures } = start(serve, {
      fork() {
        if (forked.length > 0 && refusals < 8) {
          refusals++;
          throw Object.assign(new Error('spawn EAGAIN'), { code: 'EAGAIN' });
        }
        const worker = createTestWorker(forked.length + 1);
        forked.push(worker);
        setImmediate(serve, worker);
        return worker.process;
      },
    });
    const { close } = await workers;
    await expect.poll(() => forked.length).toBe(3);
    expect([refusals, failures]).toEqual([8, []]);
    await close();
  });

  it('fails where the system refuses to start the first', async () => {
    const { workers } = start(serve, {
      fork() {
        throw Object.assign(new Error('spawn EAGAIN'), { code: 'EAGAIN' });
      },
    });
    await expect(workers).rejects.toThrow(/^The service could not start: it ended \(EAGAIN\)\.$/);
  });

  it('collects what the workers count, without those that do not answer', async () => {
    const { workers, forked } = start((worker) => {
      const { id } = worker.process;
      worker.link.metrics.serve(() => (id === 2 ? new Promise(() => {}) : Promise.resolve([id] as never)));
      serve(worker);
    });
    const { close } = await workers;
    await expect.poll(() => forked[0]?.link.metrics.collect()).toEqual([[1], [3]]);
    await close();
    await expect(forked[0]?.link.metrics.collect()).rejects.toThrow();
  });

  it('answers what workers ask', async () => {
    const { workers, forked } = start(serve, { handlers: { 'throttle-users': (key) => String(key).length } });
    const { close } = await workers;
    const local = { take: () => -1, wait: () => 0 };
    expect(await forked[0]?.link.counter('throttle-users', local, () => {}).take('four')).toBe(4);
    await close();
  });
});

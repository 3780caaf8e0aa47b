import { settledWithin } from './settled-within.ts';

/** Keeps the leases of this process's runs, so that other processes see that they live. */
export interface Leases {
  /** Moves a run's lease on for as long as its work lasts. `createdAt` is when the run began. */
  hold<T>(run: string, createdAt: number, work: () => Promise<T>): Promise<T>;
  /** Waits for the work of all runs, for at most so many milliseconds; then lets their leases pass. */
  close(limitMs: number): Promise<void>;
}

interface LeasesContext {
  /** Moves the leases of these runs on. The first of them began at `since`. */
  readonly renew: (runs: readonly string[], since: number) => Promise<void>;
  readonly everyMs: number;
  readonly logFault: (error: unknown) => void;
}

/** There is a timer only while there are runs, and it does not keep the process alive. */
export function createLeases({ renew, everyMs, logFault }: LeasesContext): Leases {
  const held = new Map<string, { readonly createdAt: number; readonly done: Promise<unknown> }>();
  let timer: NodeJS.Timeout | undefined;
  let isRenewing = false;
  let hasFailed = false;

  const stop = () => {
    clearInterval(timer);
    timer = undefined;
  };
  const renewAll = async () => {
    // A database that is slow to answer is not asked again meanwhile.
    if (isRenewing) return;
    isRenewing = true;
    try {
      let since = Infinity;
      for (const { createdAt } of held.values()) since = Math.min(since, createdAt);
      await renew([...held.keys()], since);
      hasFailed = false;
    } catch (error) {
      // Once: an outage is long.
      if (!hasFailed) logFault(error);
      hasFailed = true;
    } finally {
      isRenewing = false;
    }
  };

  return {
    async hold(run, createdAt, work) {
      const done = work();
      held.set(run, { createdAt, done });
      timer ??= setInterval(renewAll, everyMs).unref();
      try {
        return await done;
      } finally {
        held.delete(run);
        if (held.size === 0) stop();
      }
    },
    async close(limitMs) {
      await settledWithin(Promise.allSettled(Array.from(held.values(), ({ done }) => done)), limitMs);
      stop();
    },
  };
}

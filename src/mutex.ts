import { onAbort } from './cancellation.ts';

/** Runs pieces of work one after another, in the order they came; one that fails does not stop the next. */
export interface Mutex {
  /** @throws the signal's reason when it aborts before the work's turn; the work is never begun then. */
  run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

export function createMutex(): Mutex {
  let last: Promise<unknown> = Promise.resolve();
  return {
    run(work, signal) {
      if (!signal) {
        const result = last.then(work);
        last = result.catch(() => {});
        return result;
      }
      return new Promise((resolve, reject) => {
        signal.throwIfAborted();
        const leave = onAbort(signal, () => reject(signal.reason));
        last = last.then(async () => {
          leave();
          if (!signal.aborted) await work().then(resolve, reject);
        });
      });
    },
  };
}

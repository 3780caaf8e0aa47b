import { onAbort } from '../../cancellation.ts';
import { toUnavailable } from './faults.ts';

/** Gives turns to those who ask under the same name, one after another, in the order they came. */
export interface Turns {
  /**
   * Waits for a turn until a time of `performance.now()`.
   *
   * @returns what ends the turn; call it once.
   * @throws ServiceError `unavailable` when it has not come by then; the signal's reason when it aborts before.
   */
  take(name: string, deadline: number, signal?: AbortSignal): Promise<() => void>;
}

export function createTurns(): Turns {
  /** Who waits for each name whose turn somebody has. */
  const waiting = new Map<string, Set<() => void>>();

  function end(name: string): void {
    const [next] = waiting.get(name) ?? [];
    if (next) next();
    else waiting.delete(name);
  }

  return {
    async take(name, deadline, signal) {
      signal?.throwIfAborted();
      const queue = waiting.get(name);
      if (!queue) {
        waiting.set(name, new Set());
        return () => end(name);
      }
      return new Promise((resolve, reject) => {
        const begin = () => {
          stopWaiting();
          resolve(() => end(name));
        };
        const stopWaiting = () => {
          queue.delete(begin);
          clearTimeout(timer);
          leave?.();
        };
        const fail = (error: unknown) => {
          stopWaiting();
          reject(error);
        };
        const timer = setTimeout(
          () => fail(toUnavailable(new Error('the turn of a transaction did not come in time'))),
          Math.max(0, deadline - performance.now()),
        );
        const leave = signal && onAbort(signal, () => fail(signal.reason));
        queue.add(begin);
      });
    },
  };
}

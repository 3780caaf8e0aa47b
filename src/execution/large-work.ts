import type { Cancellation } from '../cancellation.ts';

/** How long such work may hold the event loop in one of its turns, in milliseconds. */
const TURN_MS = 5;

/** Text shorter than this, in bytes or characters, is worked on at once: that takes less than waiting would. */
const LARGE = 8 * 1024;

/** Work that waits, of all calls in the process as they share its event loop, in the order of arrival. */
const waiting = new Set<() => void>();

/**
 * Does work on a text, such as parsing it. Where the text is large, the work waits for its turn: the event loop turns
 * after each piece, or after some that took 5 ms together, so that many large answers at once hold up nobody for longer
 * than the longest of them.
 *
 * @param size of the text, in bytes or characters.
 * @throws what `work` throws, or the cancellation's reason once it aborts; the work is not done then.
 */
export async function inTurn<T>(size: number, cancellation: Cancellation, work: () => T): Promise<T> {
  if (size < LARGE) return work();
  if (cancellation.aborted) throw cancellation.reason;
  return new Promise((resolve, reject) => {
    const start = () => {
      stopListening();
      try {
        resolve(work());
      } catch (error) {
        reject(error);
      }
    };
    const stopListening = cancellation.onAbort(() => {
      waiting.delete(start);
      reject(cancellation.reason);
    });
    if (waiting.size === 0) setImmediate(takeTurn);
    waiting.add(start);
  });
}

function takeTurn(): void {
  const end = performance.now() + TURN_MS;
  for (const start of waiting) {
    waiting.delete(start);
    start();
    if (performance.now() >= end) break;
  }
  if (waiting.size > 0) setImmediate(takeTurn);
}

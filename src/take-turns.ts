import { setImmediate as nextTurn } from 'node:timers/promises';

/** How long a piece of work may hold the event loop, in milliseconds. */
const TURN_MS = 5;

/**
 * Lets long work share the event loop with everybody else's: await the result between two steps of it, and it gives
 * the loop back once the work has held it for long.
 */
export function takeTurns(): () => Promise<void> {
  let start = performance.now();
  return async () => {
    if (performance.now() - start < TURN_MS) return;
    await nextTurn();
    start = performance.now();
  };
}

import type { WindowCounter } from '../transports/throttle/window-counter.ts';
import type { Peer } from './peer.ts';

/** How long an answer of the primary is waited for. A request costs a fraction of a millisecond. */
const ANSWER_LIMIT_MS = 250;

/** After a failure the primary is left alone for so long: not every request waits for one that is stuck. */
const PAUSE_MS = 1000;

/**
 * A counter that all workers share: the primary has it, under this name. `local` counts along, and decides for as long as
 * the primary does not answer. `logFault` hears of it once each time.
 */
export function createSharedCounter(
  primary: Pick<Peer, 'ask'>,
  name: string,
  local: WindowCounter,
  logFault: (error: unknown) => void,
): WindowCounter {
  let askAgainAt = 0;
  let isAway = false;

  return {
    async take(key) {
      const ownAnswer = local.take(key);
      if (performance.now() < askAgainAt) return ownAnswer;
      try {
        const seconds = await primary.ask(name, key, ANSWER_LIMIT_MS);
        if (typeof seconds !== 'number') throw new Error(`the primary's answer to ${name} is no number`);
        isAway = false;
        return seconds;
      } catch (error) {
        askAgainAt = performance.now() + PAUSE_MS;
        if (!isAway) logFault(error);
        isAway = true;
        return ownAnswer;
      }
    },
  };
}

import type { LocalWindow } from '../transports/throttle/local-window.ts';
import { createStallWatch } from '../transports/throttle/stall-watch.ts';
import type { WindowCounter } from '../transports/throttle/window-counter.ts';
import type { Peer } from './peer.ts';

/**
 * When a question is forgotten. The watch gives it up long before, but not while this process is away from its own event
 * loop: an answer may be there then, unread.
 */
const ANSWER_LIMIT_MS = 10_000;

/**
 * How long an answer is waited for, in ticks of the watch: for 200 to 400 ms. More than Redis has, as an answer stands in
 * line behind the connections that the primary hands out.
 */
const PATIENCE = 10;

/** After a failure the primary is left alone for so long: not every request waits for one that is stuck. */
const PAUSE_MS = 1000;

/**
 * A counter that all workers share: the primary has it, under this name. `local`, with the same limit, counts what the
 * primary admits here. It decides while the primary does not answer within some 400 ms, which `logFault` hears of once each
 * time, and at once for a key that this worker alone has brought to its limit.
 */
export function createSharedCounter(
  primary: Pick<Peer, 'ask'>,
  name: string,
  local: LocalWindow,
  logFault: (error: unknown) => void,
): WindowCounter {
  let askAgainAt = 0;
  let isAway = false;
  /** By which those are told that the primary is away who wait for its answer. */
  const waiting = new Set<() => void>();
  const watch = createStallWatch(() => lose(new Error(`no answer to ${name} in time`)), PATIENCE);

  function lose(error: unknown): void {
    askAgainAt = performance.now() + PAUSE_MS;
    watch.reset();
    for (const giveUp of waiting) giveUp();
    waiting.clear();
    if (!isAway) logFault(error);
    isAway = true;
  }

  /** What the primary answers; undefined when it is away. Never rejects. */
  function ask(key: string): Promise<number | undefined> {
    return new Promise((resolve) => {
      const giveUp = () => resolve(undefined);
      const answered = watch.expect();
      waiting.add(giveUp);
      primary
        .ask(name, key, ANSWER_LIMIT_MS)
        .then((seconds) => {
          if (typeof seconds !== 'number') throw new Error(`the primary's answer to ${name} is no number`);
          // Else it was given up before.
          if (waiting.delete(giveUp)) isAway = false;
          resolve(seconds);
        })
        .catch((error: unknown) => {
          if (waiting.has(giveUp)) lose(error);
        })
        .finally(answered);
    });
  }

  return {
    async take(key) {
      const seconds = local.wait(key);
      if (seconds > 0) return seconds;
      if (performance.now() < askAgainAt) return local.take(key);
      const answer = await ask(key);
      if (answer === undefined) return local.take(key);
      if (answer === 0) local.take(key);
      return answer;
    },
  };
}

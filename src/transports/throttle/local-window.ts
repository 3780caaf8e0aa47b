import type { RateLimit } from '../../config.ts';
import type { WindowCounter } from './window-counter.ts';

/** A counter that answers at once. */
export interface LocalWindow extends WindowCounter {
  take(key: string): number;
  /** What `take` would answer; counts nothing. */
  wait(key: string): number;
}

/** The parts of a window that are counted apart: the window slides in steps of this fraction of it. */
export const STEPS = 60;

/** Callers remembered for each limit; beyond, the one that was quiet for the longest is forgotten. */
const MAX_KEYS = 100_000;

/** What one caller did in the current window: counts by the number of their step, oldest first. */
type Count = { total: number; steps: { step: number; count: number }[] };

/**
 * A sliding window that is counted in this process: no span of `windowMs`, to the accuracy of a step, has more than
 * `count` requests of one key.
 *
 * @param now the time in milliseconds.
 */
export function createLocalWindow(limit: RateLimit, now: () => number): LocalWindow {
  if (limit === null) return { take: () => 0, wait: () => 0 };
  const counts = new Map<string, Count>();
  const { count: limitCount, windowMs } = limit;
  const stepMs = windowMs / STEPS;

  /** The seconds until one more is admitted, by what is left of the count now. */
  function secondsToWait(count: Count, time: number, step: number): number {
    while (count.steps[0] && count.steps[0].step <= step - STEPS) {
      count.total -= count.steps.shift()?.count ?? 0;
    }
    // Only when the clock was set back: what lies in the future would not leave the window for as long as it was set back.
    while ((count.steps.at(-1)?.step ?? step) > step) count.total -= count.steps.pop()?.count ?? 0;
    const [oldest] = count.steps;
    if (!oldest || count.total < limitCount) return 0;
    return Math.max(1, Math.ceil(((oldest.step + STEPS) * stepMs - time) / 1000));
  }

  return {
    take(key) {
      const time = now();
      const step = Math.floor(time / stepMs);
      const count = counts.get(key) ?? { total: 0, steps: [] };
      // Reinserted, so that the map's order is the order of last use.
      counts.delete(key);
      counts.set(key, count);
      const seconds = secondsToWait(count, time, step);
      if (seconds > 0) return seconds;
      const current = count.steps.at(-1);
      if (current?.step === step) current.count++;
      else count.steps.push({ step, count: 1 });
      count.total++;
      if (counts.size > MAX_KEYS) counts.delete(counts.keys().next().value ?? key);
      return 0;
    },
    wait(key) {
      const count = counts.get(key);
      const time = now();
      return count ? secondsToWait(count, time, Math.floor(time / stepMs)) : 0;
    },
  };
}

import type { RateLimit } from '../../config.ts';
import type { WindowCounter } from './window-counter.ts';

/** A counter that answers at once. */
export interface LocalWindow extends WindowCounter {
  take(key: string): number;
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
  if (limit === null) return { take: () => 0 };
  const counts = new Map<string, Count>();
  const stepMs = limit.windowMs / STEPS;

  return {
    take(key) {
      const time = now();
      const step = Math.floor(time / stepMs);
      const count = counts.get(key) ?? { total: 0, steps: [] };
      while (count.steps[0] && count.steps[0].step <= step - STEPS) {
        count.total -= count.steps.shift()?.count ?? 0;
      }
      // Reinserted, so that the map's order is the order of last use.
      counts.delete(key);
      counts.set(key, count);
      const [oldest] = count.steps;
      if (oldest && count.total >= limit.count) {
        return Math.max(1, Math.ceil(((oldest.step + STEPS) * stepMs - time) / 1000));
      }
      const current = count.steps.at(-1);
      if (current?.step === step) current.count++;
      else count.steps.push({ step, count: 1 });
      count.total++;
      if (counts.size > MAX_KEYS) counts.delete(counts.keys().next().value ?? key);
      return 0;
    },
  };
}

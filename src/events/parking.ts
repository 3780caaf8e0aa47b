/** Which types of events may be sent: those for which no queue is bound are left alone for a while. */
export interface Parking {
  /** Lets all that are parked go, once their time has come: together, so that they flow in their common order. */
  release(): void;
  isParked(type: string): boolean;
  /** Whether it is not known that a queue is bound for a type. */
  isDoubtful(type: string): boolean;
  /** Takes in what a batch has shown. */
  learn(found: { readonly routable: Iterable<string>; readonly unroutable: Iterable<string> }): void;
  /**
   * Types that have been without a queue for at least so long, in milliseconds, whenever they were tried. Only those that
   * this process has tried lately: of others it does not know what another may have found out since.
   */
  unroutableFor(ms: number): string[];
}

export interface ParkingTiming {
  /** Until the first retry. The pause doubles with each one that changes nothing, until the longest; in milliseconds. */
  readonly firstParkMs: number;
  readonly longestParkMs: number;
}

export function createParking(
  { firstParkMs, longestParkMs }: ParkingTiming,
  onChange: (type: string, isRoutable: boolean) => void,
): Parking {
  const parked = new Set<string>();
  const flowing = new Set<string>();
  /** Since when a type was never seen to have a queue, and when last, as times of `performance.now()`. */
  const queueless = new Map<string, { since: number; last: number }>();
  let pauseMs = firstParkMs;
  let releaseAt = Number.POSITIVE_INFINITY;

  /** Types are tried about every `longestParkMs` by each process that may. */
  const isOutdated = (last: number) => performance.now() - last > 2 * longestParkMs;

  return {
    release() {
      if (performance.now() < releaseAt) return;
      parked.clear();
      pauseMs = Math.min(2 * pauseMs, longestParkMs);
      releaseAt = Number.POSITIVE_INFINITY;
    },
    isParked: (type) => parked.has(type),
    isDoubtful: (type) => !flowing.has(type),
    learn({ routable, unroutable }) {
      for (const type of routable) {
        flowing.add(type);
        if (!queueless.delete(type)) continue;
        // Others may well follow soon.
        pauseMs = firstParkMs;
        if (parked.size > 0) releaseAt = Math.min(releaseAt, performance.now() + pauseMs);
        onChange(type, true);
      }
      for (const type of unroutable) {
        flowing.delete(type);
        parked.add(type);
        releaseAt = Math.min(releaseAt, performance.now() + pauseMs);
        const known = queueless.get(type);
        const last = performance.now();
        queueless.set(type, { since: known && !isOutdated(known.last) ? known.since : last, last });
        if (!known) onChange(type, false);
      }
    },
    unroutableFor: (ms) =>
      [...queueless]
        .filter(([, { since, last }]) => performance.now() - since >= ms && !isOutdated(last))
        .map(([type]) => type),
  };
}

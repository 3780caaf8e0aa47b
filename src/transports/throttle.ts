import ipaddr from 'ipaddr.js';
import type { RateLimit } from '../config.ts';
import type { Authentication } from './authenticate.ts';

/** Counts requests against the limits of those who make them. */
export interface Throttle {
  /**
   * Counts one request: of the user where one is authenticated, else of the client's address. Services of the platform
   * are not limited.
   *
   * @returns the seconds to wait, at least 1, when the request is over the limit (it is not counted then); else 0.
   */
  take(authentication: Authentication, address: string): number;
}

/** The parts of a window that are counted apart: the window slides in steps of this fraction of it. */
const STEPS = 60;

/** Callers remembered for each limit; beyond, the one that was quiet for the longest is forgotten. */
const MAX_KEYS = 100_000;

/** @param options.now the time in milliseconds. */
export function createThrottle(options: {
  user: RateLimit;
  anonymous: RateLimit;
  now: () => number;
}): Throttle {
  const users = createWindow(options.user, options.now);
  const addresses = createWindow(options.anonymous, options.now);
  return {
    take(authentication, address) {
      if (authentication.kind !== 'caller') return addresses(network(address));
      const { caller } = authentication;
      return caller.kind === 'user' ? users(caller.userId) : 0;
    },
  };
}

/** What one caller did in the current window: counts by the number of their step, oldest first. */
type Count = { total: number; steps: { step: number; count: number }[] };

/** A sliding window: no span of `windowMs`, to the accuracy of a step, has more than `count` requests of one key. */
function createWindow(limit: RateLimit, now: () => number): (key: string) => number {
  if (limit === null) return () => 0;
  const counts = new Map<string, Count>();
  const stepMs = limit.windowMs / STEPS;

  return (key) => {
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
  };
}

/** The client that an address stands for: an IPv6 host has a whole /64 to itself (RFC 6177). */
function network(address: string): string {
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  return parsed.kind() === 'ipv6' ? parsed.toByteArray().slice(0, 8).join('.') : parsed.toString();
}

import { createHash } from 'node:crypto';
import ipaddr from 'ipaddr.js';
import type { Authentication } from './authenticate.ts';
import type { WindowCounter } from './throttle/window-counter.ts';

/** Counts requests against the limits of those who make them. */
export interface Throttle {
  /**
   * Counts one request: of the user where one is authenticated, else of the client's address. Services of the platform
   * are not limited.
   *
   * @returns the seconds to wait, at least 1, when the request is over the limit (it is not counted then); else 0. A
   * promise where the counts are kept elsewhere; it never rejects.
   */
  take(authentication: Authentication, address: string): number | Promise<number>;
}

/** @param counters the counts of users, and those of addresses without valid credentials. */
export function createThrottle(counters: { users: WindowCounter; addresses: WindowCounter }): Throttle {
  const { users, addresses } = counters;
  return {
    take(authentication, address) {
      if (authentication.kind !== 'caller') return addresses.take(network(address));
      const { caller } = authentication;
      return caller.kind === 'user' ? users.take(caller.userId) : 0;
    },
  };
}

/** The client that an address stands for: an IPv6 host has a whole /64 to itself (RFC 6177). */
function network(address: string): string {
  // Whatever a proxy passes on for an address: text of any kind and length, and no name for a count.
  if (!ipaddr.isValid(address)) return createHash('sha256').update(address).digest('base64url');
  const parsed = ipaddr.process(address);
  return parsed.kind() === 'ipv6' ? parsed.toByteArray().slice(0, 8).join('.') : parsed.toString();
}

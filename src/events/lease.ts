import { randomUUID } from 'node:crypto';
import type { Database, Transaction } from '../db/database.ts';
import { extendLease, findLease, freeLease, type LeaseState, takeLease } from './lease-store.ts';

/** What one process at a time may do, of all that share a database. */
export interface Lease {
  /** Takes it, where nobody has it or who had it has let it run out. @returns whether it is held. */
  take(): Promise<boolean>;
  /** Whether it is held as of now. It is prolonged until it is given back, as long as the database answers. */
  readonly isHeld: boolean;
  /** Gives it back, in one transaction with `work`, which is done in any case. */
  giveBack(work?: (transaction: Transaction) => Promise<void>): Promise<void>;
  /** Holds it no longer, without a word to the database: it runs out. */
  letGo(): void;
}

/** For how long a holder that has died keeps others waiting, in milliseconds. */
const LEASE_MS = 5000;

/** Nothing that leases guard is lost with them. */
const LIGHT = { survivesPowerLoss: false };

/**
 * Processes need not agree on the time for the lease to come free: one whose holder does not prolong it is free too once
 * somebody has watched it for its length. Where clocks are further apart than that length, two may hold it at a time.
 */
export function createLease(
  { database, name, now }: { readonly database: Database; readonly name: string; readonly now: () => number },
  leaseMs = LEASE_MS,
): Lease {
  const own = { name, holder: randomUUID() };
  /** As a time of `performance.now()`. */
  let heldUntil = 0;
  let prolonging: NodeJS.Timeout | undefined;
  let seen: { readonly state: LeaseState; readonly since: number } | undefined;

  const isHeld = () => performance.now() < heldUntil;

  function isFree(state: LeaseState): boolean {
    // Our own, when we did not hear that we got it.
    if (state.heldUntil <= now() || state.holder === own.holder) return true;
    const isSame = seen?.state.holder === state.holder && seen.state.heldUntil === state.heldUntil;
    if (!seen || !isSame) seen = { state, since: performance.now() };
    return performance.now() - seen.since > leaseMs;
  }

  async function prolong(): Promise<void> {
    let until = 0;
    const isOurs = await database.transaction((transaction) => {
      until = performance.now() + leaseMs;
      return extendLease(database, transaction, { ...own, heldUntil: now() + leaseMs });
    }, LIGHT);
    // It may have been given back meanwhile.
    if (heldUntil !== 0) heldUntil = isOurs ? until : 0;
  }

  function letGo(): void {
    heldUntil = 0;
    clearInterval(prolonging);
  }

  return {
    get isHeld() {
      return isHeld();
    },
    async take() {
      if (isHeld()) return true;
      const state = await findLease(database, name);
      if (state && !isFree(state)) return false;
      let until = 0;
      const isTaken = await database.transaction((transaction) => {
        until = performance.now() + leaseMs;
        return takeLease(database, transaction, { ...own, heldUntil: now() + leaseMs }, state);
      }, LIGHT);
      if (!isTaken) return false;
      letGo();
      heldUntil = until;
      // A failure is met by who uses the lease; without an answer it runs out.
      prolonging = setInterval(() => prolong().catch(() => {}), leaseMs / 3).unref();
      return isHeld();
    },
    async giveBack(work = async () => {}) {
      letGo();
      await database.transaction(async (transaction) => {
        await work(transaction);
        await freeLease(database, transaction, own);
      }, LIGHT);
    },
    letGo,
  };
}

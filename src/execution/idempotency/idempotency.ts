import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../../db/database.ts';
import type { Encryption } from '../../encryption.ts';
import { keepUsers } from '../../users/deleted-users-store.ts';
import { CallError, type CallOutcome } from '../call.ts';
import { type Claim, claimKey, findRun, renewLeases, type StoredRun } from './idempotency-store.ts';
import { createLeases } from './leases.ts';
import { startPurge } from './purge-keys.ts';
import { type Ending, runClaimed } from './run-claimed.ts';
import { settledWithin } from './settled-within.ts';
import { createEndings } from './store-endings.ts';
import { CUT_OFF, conflict, openOutcome, UNREADABLE } from './stored-outcome.ts';
import { untilAborted } from './until-aborted.ts';

/** A call that carries an idempotency key. */
export interface KeyedCall {
  /** Whose key it is: another's key of the same text is another key. */
  readonly userId: string;
  readonly toolId: string;
  readonly key: string;
  readonly argumentsHash: string;
}

/** `replayed` tells that it is what an earlier call with the key came to. */
export type KeyedOutcome = CallOutcome & { readonly replayed: boolean };

/** Makes calls that carry the same idempotency key run once, in however many processes. */
export interface Idempotency {
  /**
   * Runs `run` once for each key within 24 hours of the first call: the first caller runs it, others with the same
   * arguments wait for it or get the stored outcome. What `run` throws goes to the first caller as it is; others get
   * its code and words. After an error that cannot have run, the key is free again, and one that waits becomes the
   * first. A run that was cut off is never run again: callers get the error `outcome_unknown`.
   *
   * The outcome is stored before it is given, unless the database takes longer than a second or the signal aborts: then
   * it is given and stored behind the caller's back, as soon as the database takes it, be it minutes. The same calls of this
   * process have the outcome until then; to another, once the lease has passed, the run is one that was cut off, as it is
   * to all were this process to end meanwhile.
   *
   * @throws CallError `idempotency_conflict` when the key was used with other arguments, `permission_denied` when the user
   * is deleted, `internal` when the key could not be looked up or stored; the signal's reason when it aborts before `run` begins, or while another's run is
   * waited for.
   */
  runOnce(call: KeyedCall, signal: AbortSignal, run: () => Promise<CallOutcome>): Promise<KeyedOutcome>;
  /** Waits a bounded time for the runs under way and for what is yet to be stored, then lets go of them. Idempotent. */
  close(): Promise<void>;
}

export interface IdempotencyContext {
  readonly database: Database;
  readonly encryption: Encryption;
  /** The time in milliseconds since 1970. Processes that share a database agree on it to well within a lease. */
  readonly now: () => number;
  readonly logFault: (error: unknown) => void;
}

const LIFETIME_MS = 24 * 60 * 60 * 1000;

const TIMING = {
  /** How long a run counts as alive after its process was heard of. */
  leaseMs: 5000,
  renewMs: 1500,
  /** How long close waits for the runs under way. */
  closeMs: 5000,
  /** How long a caller waits for its outcome to be stored. */
  storeMs: 1000,
};

/** Pauses between two looks at another process's run. */
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [50, 500];

/** A call's ending, and when it is stored or given up. */
type Led = Ending & { readonly stored: Promise<void> };

/** Close it before the database. */
export function createIdempotency(
  context: IdempotencyContext,
  timing: Partial<typeof TIMING> = {},
): Idempotency {
  const { database, encryption, now, logFault } = context;
  const { leaseMs, renewMs, closeMs, storeMs } = { ...TIMING, ...timing };
  const oldUntil = () => now() - LIFETIME_MS;
  const endPurge = startPurge({ database, oldUntil, logFault });
  const endings = createEndings({ database, encryption, logFault, oldUntil });
  const leases = createLeases({
    renew: (runs, since) =>
      database.transaction((transaction) =>
        renewLeases(database, transaction, runs, { since, leaseUntil: now() + leaseMs }),
      ),
    everyMs: renewMs,
    logFault,
  });
  /** What the same calls in this process wait for, by call. */
  const leaders = new Map<string, Promise<CallOutcome | undefined>>();
  let closed: Promise<void> | undefined;

  /** Finds the run under the key or makes one, and sees it to its end. */
  async function lead(call: KeyedCall, signal: AbortSignal, run: () => Promise<CallOutcome>): Promise<Led> {
    const { argumentsHash, ...place } = call;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      signal.throwIfAborted();
      const known = await ask(signal, () => findRun(database, place));
      if (!known || known.createdAt <= oldUntil()) {
        const claim = { ...place, run: randomUUID() };
        const createdAt = await ask(signal, () => take(claim, argumentsHash, signal));
        if (createdAt === undefined) continue;
        const running = runClaimed(signal, run);
        const stored = leases.hold(claim.run, createdAt, async () =>
          endings.store(claim, createdAt, await running),
        );
        return { ...(await running), stored };
      }
      const ending = endingOf(known, call);
      if (ending) return { outcome: ending, replayed: true, stored: Promise.resolve() };
      // Its abort is seen to above.
      await sleep(pause, undefined, { signal }).catch(() => {});
    }
  }

  /** Before anything has run, a fault of the database is a refusal. */
  async function ask<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof CallError) throw error;
      logFault(error);
      const words =
        'The idempotency key could not be checked, so nothing was run. Call again with the same key.';
      throw new CallError('internal', words, { cause: error, mayHaveRun: false });
    }
  }

  /**
   * @returns when the run began, undefined when another run took the key.
   * @throws CallError `permission_denied` when the user is deleted.
   */
  async function take(claim: Claim, argumentsHash: string, signal: AbortSignal): Promise<number | undefined> {
    return database.transaction(
      async (transaction) => {
        const deleted = await keepUsers(database, transaction, [claim.userId]);
        if (deleted.size > 0) throw userDeleted();
        // Not earlier: the transaction may have waited for longer than a lease.
        const createdAt = now();
        const record = { ...claim, argumentsHash, createdAt, leaseUntil: createdAt + leaseMs };
        return (await claimKey(database, transaction, record, oldUntil())) ? createdAt : undefined;
      },
      { signal },
    );
  }

  /** How a stored run ended, undefined while it runs. */
  function endingOf(stored: StoredRun, call: KeyedCall): CallOutcome | undefined {
    if (stored.argumentsHash !== call.argumentsHash) throw conflict();
    if (stored.result === null) return stored.leaseUntil <= now() ? CUT_OFF : undefined;
    try {
      return openOutcome(encryption, call, stored.result);
    } catch (error) {
      logFault(error);
      return UNREADABLE;
    }
  }

  /**
   * Lets the same calls of this process have a call's outcome, until it is stored; where there is none, they wait until
   * its key is free.
   */
  function share(id: string, leading: Promise<Led>): void {
    const forget = (): undefined => {
      leaders.delete(id);
    };
    const shared = leading.then(async ({ outcome, stored }) => {
      const forgotten = stored.then(forget);
      if (!outcome) await forgotten;
      return outcome;
    }, forget);
    leaders.set(id, shared);
  }

  return {
    async runOnce(call, signal, run) {
      // The arguments are part of it, so that whether others conflict is left to the database.
      const id = JSON.stringify([call.userId, call.toolId, call.key, call.argumentsHash]);
      for (let leader = leaders.get(id); leader; leader = leaders.get(id)) {
        const outcome = await untilAborted(leader, signal);
        if (outcome) return { ...outcome, replayed: true };
      }
      const leading = lead(call, signal, run);
      share(id, leading);
      const ending = await leading;
      await settledWithin(ending.stored, storeMs, signal);
      if (ending.thrown) throw ending.thrown.error;
      return { ...ending.outcome, replayed: ending.replayed };
    },
    close() {
      endings.hurry();
      closed ??= Promise.all([endPurge(), leases.close(closeMs).finally(endings.close)]).then(() => {});
      return closed;
    },
  };
}

/** Also for another service that calls for the user: nothing is stored for them any more. */
function userDeleted(): CallError {
  return new CallError('permission_denied', 'The user for whom this call is made has been deleted.', {
    mayHaveRun: false,
  });
}

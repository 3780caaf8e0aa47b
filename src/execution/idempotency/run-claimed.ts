import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../../db/database.ts';
import type { Encryption } from '../../encryption.ts';
import type { CallOutcome } from '../call.ts';
import { type Claim, endRun, freeKey } from './idempotency-store.ts';
import { outcomeOfError, sealOutcome } from './stored-outcome.ts';

/** How a call with a key ended: what others with the same call get, if the key is not free again; what it threw. */
export type Ending =
  | { readonly outcome: CallOutcome; readonly replayed: boolean; readonly thrown?: undefined }
  | { readonly outcome: CallOutcome | undefined; readonly thrown: { readonly error: unknown } };

interface StoreContext {
  readonly database: Database;
  readonly encryption: Encryption;
  readonly logFault: (error: unknown) => void;
}

const STORE_ATTEMPTS = 3;
const STORE_PAUSE_MS = 100;

/** Runs what has claimed its key. Never rejects. */
export async function runClaimed(signal: AbortSignal, run: () => Promise<CallOutcome>): Promise<Ending> {
  // The time may have run out while the key was stored.
  if (signal.aborted) return { outcome: undefined, thrown: { error: signal.reason } };
  try {
    return { outcome: await run(), replayed: false };
  } catch (error) {
    return { outcome: outcomeOfError(error), thrown: { error } };
  }
}

/**
 * Stores how a run ended, or gives the key back where nothing can have run. Never rejects: where the ending cannot be
 * stored, the run is one that was cut off to those who ask later.
 */
export async function storeEnding(
  context: StoreContext,
  claim: Claim,
  { outcome }: Pick<Ending, 'outcome'>,
): Promise<void> {
  for (let attempts = 1; ; attempts++) {
    try {
      await store(context, claim, outcome);
      return;
    } catch (error) {
      if (attempts === STORE_ATTEMPTS) {
        context.logFault(error);
        return;
      }
    }
    await sleep(STORE_PAUSE_MS);
  }
}

async function store(
  { database, encryption }: StoreContext,
  claim: Claim,
  outcome: CallOutcome | undefined,
): Promise<void> {
  const result = outcome && sealOutcome(encryption, claim, outcome);
  await database.transaction((transaction) =>
    result === undefined
      ? freeKey(database, transaction, claim)
      : endRun(database, transaction, claim, result),
  );
}

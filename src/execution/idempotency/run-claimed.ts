import type { CallOutcome } from '../call.ts';
import { outcomeOfError } from './stored-outcome.ts';

/** How a call with a key ended: what others with the same call get, if the key is not free again; what it threw. */
export type Ending =
  | { readonly outcome: CallOutcome; readonly replayed: boolean; readonly thrown?: undefined }
  | { readonly outcome: CallOutcome | undefined; readonly thrown: { readonly error: unknown } };

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

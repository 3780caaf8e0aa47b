import type { Encryption } from '../../encryption.ts';
import { CallError, type CallOutcome } from '../call.ts';
import type { KeyPlace } from './idempotency-store.ts';

/** What a call gets whose run was cut off. */
export const CUT_OFF = outcomeUnknown('A call with this idempotency key was cut off and may have executed.');

/** What a call gets whose run has ended, where nothing can tell how. */
export const UNREADABLE = outcomeUnknown(
  'A call with this idempotency key has executed, and its outcome cannot be read any more.',
);

/** Bytes of an outcome's text that are kept; of a longer one, only that it ran is. */
const MAX_OUTPUT_BYTES = 1024 * 1024;

const TOO_LARGE = outcomeUnknown(
  'A call with this idempotency key has executed, and its output was too large to keep.',
);

/** What is stored of a run that failed: its code and words. Undefined where the tool cannot have run. */
export function outcomeOfError(error: unknown): CallOutcome | undefined {
  if (!(error instanceof CallError)) {
    return { status: 'error', output: 'The tool failed by an internal error.', errorCode: 'internal' };
  }
  if (!error.mayHaveRun) return undefined;
  return { status: 'error', output: error.message, errorCode: error.code };
}

/** An outcome as it is stored: encrypted for its key alone, without its output where that is over 1 MiB. */
export function sealOutcome(encryption: Encryption, place: KeyPlace, outcome: CallOutcome): string {
  const kept = Buffer.byteLength(outcome.output) > MAX_OUTPUT_BYTES ? TOO_LARGE : outcome;
  return encryption.encrypt(JSON.stringify(kept), contextOf(place));
}

/** @throws Error when it was stored with a key that is not configured any more, or for another place. */
export function openOutcome(encryption: Encryption, place: KeyPlace, stored: string): CallOutcome {
  return JSON.parse(encryption.decrypt(stored, contextOf(place))) as CallOutcome;
}

/** The key's run had other arguments. */
export function conflict(): CallError {
  return new CallError(
    'idempotency_conflict',
    'This idempotency key was used with other arguments. Call with the same arguments to get that outcome, or with a new key.',
    { mayHaveRun: false },
  );
}

function contextOf({ userId, toolId, key }: KeyPlace): string {
  return `idempotency:${JSON.stringify([userId, toolId, key])}`;
}

function outcomeUnknown(what: string): CallOutcome {
  const advice = 'It is not run again: check what it did, then call with a new key if you need to.';
  return { status: 'error', output: `${what} ${advice}`, errorCode: 'outcome_unknown' };
}

/** Why an attempt failed, as far as it matters for another. */
export type AttemptFailure =
  /** Not a byte of the request was sent. */
  | { readonly kind: 'not-sent' }
  /** The connection broke after bytes were sent. */
  | { readonly kind: 'broken' }
  | { readonly kind: 'timeout' }
  /** What another attempt would only repeat, such as a forbidden address. */
  | { readonly kind: 'other' }
  | { readonly kind: 'status'; readonly status: number; readonly retryAfterMs?: number };

export interface AttemptSituation {
  /** Counted from 0. */
  readonly attempt: number;
  /** Whether running it twice does no more than running it once: GET and HEAD, or what says so of itself. */
  readonly repeatable: boolean;
  /** How much of the call's time is left, in milliseconds. */
  readonly remainingMs: number;
  /** A number from 0 up to 1. */
  readonly random: () => number;
}

/** Attempts of one call, the first included. */
const MAX_ATTEMPTS = 3;

/** The longest wait before the second attempt, doubled for each further one, and what it never exceeds. */
const BASE_MS = 100;
const LONGEST_MS = 2000;

/** What comes by chance to a wait that the upstream asked for, so that its callers do not all come back at once. */
const SPREAD_MS = 100;
const SPREAD = 0.1;

/** Time that must be left for the attempt itself, in milliseconds. */
const ROOM_MS = 50;

/**
 * How long to wait before the next attempt, in milliseconds; undefined where there must be none. Only what surely did
 * not run, or may run twice, is sent again.
 */
export function retryDelay(failure: AttemptFailure, situation: AttemptSituation): number | undefined {
  const { attempt, repeatable, remainingMs, random } = situation;
  if (attempt + 1 >= MAX_ATTEMPTS || !isSafe(failure, repeatable)) return undefined;
  const asked = failure.kind === 'status' ? failure.retryAfterMs : undefined;
  const delay =
    asked === undefined
      ? random() * Math.min(LONGEST_MS, BASE_MS * 2 ** attempt)
      : asked + random() * Math.max(SPREAD_MS, SPREAD * asked);
  return delay + ROOM_MS <= remainingMs ? delay : undefined;
}

function isSafe(failure: AttemptFailure, repeatable: boolean): boolean {
  switch (failure.kind) {
    case 'not-sent':
      return true;
    case 'broken':
      return repeatable;
    case 'status':
      return isSafeStatus(failure.status, repeatable, failure.retryAfterMs !== undefined);
    case 'timeout':
    case 'other':
      return false;
    default:
      return failure satisfies never;
  }
}

function isSafeStatus(status: number, repeatable: boolean, isAskedToWait: boolean): boolean {
  switch (status) {
    case 429:
      // The call was refused, not run (RFC 6585 section 4).
      return isAskedToWait;
    case 503:
      return repeatable && isAskedToWait;
    case 502:
    case 504:
      return repeatable;
    default:
      return false;
  }
}

/**
 * Reads Retry-After (RFC 9110 section 10.2.3): seconds, or one of the three forms of an HTTP date (section 5.6.7).
 *
 * @param now the time in milliseconds since 1970.
 * @returns milliseconds, 0 for a date that is past; undefined for what is neither, or is over 31 years.
 */
export function parseRetryAfter(value: string | string[] | undefined, now: number): number | undefined {
  const text = (Array.isArray(value) ? value[0] : value)?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  if (!/^[A-Z][a-z]{2,8},? [\w :-]{16,24}$/.test(text)) return undefined;
  // The oldest form names no zone: it is UTC as well.
  const time = Date.parse(text.endsWith(' GMT') ? text : `${text} GMT`);
  return Number.isNaN(time) ? undefined : Math.max(0, time - now);
}

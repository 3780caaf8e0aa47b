import { DrizzleQueryError } from 'drizzle-orm/errors';
import { ServiceError } from '../../errors.ts';

/**
 * The database cannot answer now; nothing is wrong with the question. SQLSTATEs, by PostgreSQL's appendix A. Tables and
 * columns that are not there (42P01, 42703) are those of a migration that is yet to be applied.
 */
const UNAVAILABLE_STATE =
  /^(?:08...|28...|53...|57P0[1-5]|57014|3D000|55P03|25P0[34]|25006|40001|40P01|42P01|42703|58030|0A000|26000)$/;

/** As `UNAVAILABLE_STATE`, of what the driver says of a connection, as it has no codes for it. */
const UNAVAILABLE_WORDS =
  /connection terminated|timeout exceeded when trying to connect|query read timeout|connection error and is not queryable|client was closed|cannot use a pool after/i;

/** An error of the operating system: ECONNRESET, EPIPE and their like. */
const SYSTEM_ERROR = /^E[A-Z]{3,}$/;

/**
 * The connection ended before or while it was used, or its prepared statements are not what they were: the same on
 * another connection may well pass. A time that is up is not among them.
 */
const STALE_STATE = /^(?:08...|57P0[12]|25P03|25006|0A000|26000)$/;
const STALE_WORDS =
  /connection terminated unexpectedly|connection error and is not queryable|client was closed/i;

/** The server goes on with the statement's connection, but it is of no use: to a standby, or with other statements. */
const USELESS_STATE = /^(?:25006|0A000|26000)$/;

/** Another transaction was in the way: the same, tried again, may pass. */
const COLLISION = /^(?:40001|40P01)$/;

const UNIQUE_VIOLATION = '23505';

/** A text with NUL characters, or what is no Unicode. */
const UNFIT_TEXT = /^(?:22021|22P05)$/;

/** What the server, the driver or the socket said, without what was put around it. */
export function driverErrorOf(error: unknown): unknown {
  let inner = error;
  while ((inner instanceof DrizzleQueryError || inner instanceof ServiceError) && inner.cause !== undefined) {
    inner = inner.cause;
  }
  return inner;
}

function readFault(error: unknown): { code: string; words: string; severity: unknown } {
  const cause = driverErrorOf(error);
  if (typeof cause !== 'object' || cause === null) return { code: '', words: '', severity: undefined };
  const { code, message, severity } = cause as { code?: unknown; message?: unknown; severity?: unknown };
  return { code: typeof code === 'string' ? code : '', words: String(message ?? ''), severity };
}

function isAway(error: unknown): boolean {
  const { code, words } = readFault(error);
  return UNAVAILABLE_STATE.test(code) || SYSTEM_ERROR.test(code) || UNAVAILABLE_WORDS.test(words);
}

/** Whether a connection cannot be used on: all but a refusal of a statement by a server that goes on with it. */
export function isConnectionFault(error: unknown): boolean {
  const { code, severity } = readFault(error);
  return isAway(error) && (severity !== 'ERROR' || USELESS_STATE.test(code));
}

/** Whether what has no effect, or none yet, is worth another attempt at once on another connection. */
export function isStale(error: unknown): boolean {
  const { code, words } = readFault(error);
  return STALE_STATE.test(code) || /^(?:ECONNRESET|EPIPE)$/.test(code) || STALE_WORDS.test(words);
}

export function isCollision(error: unknown): boolean {
  return COLLISION.test(readFault(error).code);
}

export function isUniqueViolation(error: unknown): boolean {
  return readFault(error).code === UNIQUE_VIOLATION;
}

/**
 * Makes `unavailable` of a fault that passes by itself, and `invalid_argument` of text that no one could store; leaves
 * others as they are, but without drizzle's words, which hold the statement and its values.
 */
export function toServiceError(error: unknown): unknown {
  if (error instanceof ServiceError) return error;
  const cause = driverErrorOf(error);
  if (isAway(cause)) return toUnavailable(cause);
  if (UNFIT_TEXT.test(readFault(cause).code)) {
    const words = 'Null characters and lone surrogates are not allowed.';
    return new ServiceError('invalid_argument', words, { cause });
  }
  return cause;
}

export function toUnavailable(cause: unknown): ServiceError {
  return new ServiceError('unavailable', 'The database does not answer now. Try again.', { cause });
}

/** A fault of a connection for the log, by its words and code alone: the driver hangs the connection itself on it. */
export function describeFault(error: unknown): Error {
  const { code, words } = readFault(error);
  const reason = [words, code].filter((part) => part !== '').join(', ');
  return new Error(`a connection to the database broke: ${reason || 'no reason given'}`);
}

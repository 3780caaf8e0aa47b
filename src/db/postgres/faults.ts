import { ServiceError } from '../../errors.ts';

/** The database cannot answer now; nothing is wrong with the question. SQLSTATEs, by PostgreSQL's appendix A. */
const UNAVAILABLE_STATE = /^(?:08...|53...|57P0[1-5]|57014|55P03|25P0[34]|25006|40001|40P01|58030)$/;

/** As `UNAVAILABLE_STATE`, of what the driver says of a connection, as it has no codes for it. */
const UNAVAILABLE_WORDS =
  /connection terminated|timeout exceeded when trying to connect|query read timeout|connection error and is not queryable|client was closed|cannot use a pool after/i;

/** Another transaction was in the way: the same, tried again, may pass. */
const COLLISION = /^(?:40001|40P01)$/;

const UNIQUE_VIOLATION = '23505';

/** What the server or the socket said: drizzle wraps it. */
function causeOf(error: unknown): { code?: unknown; message?: unknown; severity?: unknown } {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return typeof cause === 'object' && cause !== null ? cause : {};
}

/** Whether a connection cannot be used on: all but a refusal of a statement by the server. */
export function isConnectionFault(error: unknown): boolean {
  return toServiceError(error) !== error && causeOf(error).severity !== 'ERROR';
}

export function isCollision(error: unknown): boolean {
  return COLLISION.test(String(causeOf(error).code));
}

export function isUniqueViolation(error: unknown): boolean {
  return causeOf(error).code === UNIQUE_VIOLATION;
}

/** Makes `unavailable` of a fault that passes by itself; leaves others as they are. */
export function toServiceError(error: unknown): unknown {
  const { code, message } = causeOf(error);
  const isAway =
    (typeof code === 'string' && (UNAVAILABLE_STATE.test(code) || /^E[A-Z]{3,}$/.test(code))) ||
    UNAVAILABLE_WORDS.test(String(message));
  if (error instanceof ServiceError || !isAway) return error;
  return new ServiceError('unavailable', 'The database does not answer now. Try again.', { cause: error });
}

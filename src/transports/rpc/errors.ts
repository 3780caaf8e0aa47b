import { Code, ConnectError } from '@connectrpc/connect';
import { clip } from '../../clip.ts';
import { type ErrorCode, ServiceError } from '../../errors.ts';

/** Characters of an error's words: clients take no more than 8 KiB of headers, where gRPC puts them percent-encoded. */
const MAX_MESSAGE = 1000;

/** The status of each kind of refusal. A code without a line here does not compile. */
const STATUS: Record<ErrorCode, Code> = {
  invalid_argument: Code.InvalidArgument,
  unauthenticated: Code.Unauthenticated,
  permission_denied: Code.PermissionDenied,
  not_found: Code.NotFound,
  already_exists: Code.AlreadyExists,
  failed_precondition: Code.FailedPrecondition,
  aborted: Code.Aborted,
  resource_exhausted: Code.ResourceExhausted,
  deadline_exceeded: Code.DeadlineExceeded,
  canceled: Code.Canceled,
  unavailable: Code.Unavailable,
};

/**
 * What an RPC answers for whatever was thrown. `logFault` is told what is not meant for the caller: Connect would
 * turn it into an "internal error" and say nothing to the log.
 */
export function toConnectError(error: unknown, logFault: (error: unknown) => void): ConnectError {
  if (error instanceof ConnectError) return error;
  if (error instanceof ServiceError) {
    if (error.cause) logFault(error.cause);
    return new ConnectError(clip(error.message, MAX_MESSAGE), STATUS[error.code]);
  }
  // A signal's reason: the client went away, or its deadline is over.
  if (error instanceof DOMException && error.name === 'AbortError') {
    return new ConnectError('the call was canceled', Code.Canceled);
  }
  logFault(error);
  return new ConnectError('internal error', Code.Internal);
}

/** The caller's message is none: Connect would take the blame and say INTERNAL. */
export function unreadable(): ConnectError {
  return new ConnectError('The message of the request cannot be parsed.', Code.InvalidArgument);
}

/** @param limit in bytes. */
export function tooLarge(limit: number): ConnectError {
  return new ConnectError(
    `The message of the request has more than ${limit} bytes (MAX_MESSAGE_BYTES).`,
    Code.ResourceExhausted,
  );
}

/** A status code as Connect spells it. */
export function codeName(code: Code): string {
  return Code[code].replace(/(?<=[a-z])[A-Z]/g, '_$&').toLowerCase();
}

const codesByName = new Map(
  Object.values(Code)
    .filter((code) => typeof code === 'number')
    .map((code) => [codeName(code), code]),
);

/** The status code of a name in Connect's spelling; `Unknown` for what is none. */
export function codeNamed(name: string): Code {
  return codesByName.get(name) ?? Code.Unknown;
}

export type EgressFailure =
  | 'forbidden'
  | 'unresolvable'
  | 'unreachable'
  | 'reset'
  | 'timeout'
  | 'canceled'
  | 'too_large'
  | 'exhausted'
  | 'invalid_response';

/**
 * A request to the outside that came to nothing. `message` may be shown to a caller: it never holds a part of the URL, a
 * credential or an address. `cause` is for the log alone.
 */
export class EgressError extends Error {
  override readonly name = 'EgressError';
  readonly reason: EgressFailure;
  /** Whether any byte of the request may have reached the upstream; when false, sending it again is safe. */
  readonly bytesSent: boolean;

  constructor(
    reason: EgressFailure,
    message: string,
    { bytesSent = false, cause }: { bytesSent?: boolean; cause?: unknown } = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.reason = reason;
    this.bytesSent = bytesSent;
  }
}

/** Why connecting failed, in words; the rest is "could not be reached". */
const connectWords: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'The upstream refused the connection',
  UND_ERR_CONNECT_TIMEOUT: 'The upstream did not accept a connection in time',
  ETIMEDOUT: 'The upstream did not accept a connection in time',
  CERT_HAS_EXPIRED: "The upstream's TLS certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "The upstream's TLS certificate is for another host",
  DEPTH_ZERO_SELF_SIGNED_CERT: "The upstream's TLS certificate is self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: "The upstream's TLS certificate is signed by an unknown authority",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "The upstream's TLS certificate is signed by an unknown authority",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "The upstream's TLS certificate is signed by an unknown authority",
};

/** No connection came about. */
export function connectError(cause: unknown): EgressError {
  const code = codeOf(cause);
  const tlsWords = /CERT|CRL|SSL|TLS|EPROTO/.test(code) ? 'TLS with the upstream failed' : undefined;
  const words = Object.hasOwn(connectWords, code) ? connectWords[code] : tlsWords;
  return new EgressError('unreachable', words ?? 'The upstream could not be reached', { cause });
}

/** The exchange broke, or never came to begin. */
export function exchangeError(cause: unknown, bytesSent: boolean): EgressError {
  if (cause instanceof EgressError) return cause;
  if (!bytesSent) return connectError(cause);
  if (codeOf(cause) === 'UND_ERR_HEADERS_OVERFLOW') {
    return new EgressError('invalid_response', "The upstream's headers are too large", { bytesSent, cause });
  }
  if (isInvalidHttp(cause)) {
    const message = "The upstream's response is not valid HTTP";
    return new EgressError('invalid_response', message, { bytesSent, cause });
  }
  return new EgressError('reset', 'The upstream broke off the connection', { bytesSent, cause });
}

/** The signal's reason as an error: a `TimeoutError` is a deadline, all else somebody's wish. */
export function abortError(signal: Pick<AbortSignal, 'reason'>, bytesSent: boolean): EgressError {
  const cause: unknown = signal.reason;
  return cause instanceof Error && cause.name === 'TimeoutError'
    ? new EgressError('timeout', 'The upstream did not answer in time', { bytesSent, cause })
    : new EgressError('canceled', 'The request was canceled', { bytesSent, cause });
}

/** undici's parser errors carry no code. One of them means no more than that the connection ended before the message. */
function isInvalidHttp(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name === 'HTTPParserError') return !error.message.includes('Invalid EOF state');
  return error.message === 'bad response' || error.message === 'bad upgrade';
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

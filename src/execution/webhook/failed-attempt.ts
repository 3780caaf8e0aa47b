import type { EgressError, EgressResponse } from '../../egress/egress-client.ts';
import { getOwn } from '../../json.ts';
import { CallError, type CallErrorCode } from '../call.ts';
import { type AttemptFailure, parseRetryAfter } from '../resilience/retry.ts';

/** A request that did not bring what the tool promises: what it means for another try, and for whoever reads it. */
export interface FailedAttempt {
  readonly kind: 'failed';
  readonly failure: AttemptFailure;
  readonly error: CallError;
}

const CODES: Record<EgressError['reason'], CallErrorCode> = {
  forbidden: 'forbidden_address',
  unresolvable: 'unreachable',
  unreachable: 'unreachable',
  reset: 'unreachable',
  timeout: 'timeout',
  canceled: 'canceled',
  too_large: 'response_too_large',
  invalid_response: 'invalid_response',
  exhausted: 'resource_exhausted',
};

/** No whole answer came. @param isRepeatable whether running the tool twice does no more than running it once. */
export function brokenAttempt(error: EgressError, isRepeatable: boolean): FailedAttempt {
  const { reason, bytesSent } = error;
  const mayHaveRun = bytesSent && !isRepeatable;
  return {
    kind: 'failed',
    failure: failureOf(error),
    error: new CallError(CODES[reason], `${error.message}.${mayHaveRun ? MAY_HAVE_EXECUTED : ''}`, {
      cause: error,
      mayHaveRun,
    }),
  };
}

const MAY_HAVE_EXECUTED = ' The call may have executed: check before you call again.';

function failureOf({ reason, bytesSent }: EgressError): AttemptFailure {
  switch (reason) {
    case 'unreachable':
    case 'unresolvable':
    case 'reset':
      return { kind: bytesSent ? 'broken' : 'not-sent' };
    case 'timeout':
      return { kind: 'timeout' };
    case 'forbidden':
    case 'canceled':
    case 'too_large':
    case 'invalid_response':
    case 'exhausted':
      return { kind: 'other' };
    default:
      return reason satisfies never;
  }
}

/**
 * An answer came, with another status than 2xx.
 *
 * @param now the time in milliseconds since 1970.
 */
export function refusedStatus(
  { status, headers }: EgressResponse,
  { isRepeatable, now }: { isRepeatable: boolean; now: number },
): FailedAttempt {
  const retryAfterMs = parseRetryAfter(getOwn(headers, 'retry-after'), now);
  const words = [`The upstream answered with HTTP status ${status}.`];
  if (status >= 300 && status < 400) words.push('Redirects are not followed.');
  if (retryAfterMs !== undefined) words.push(`It asks for a pause of ${Math.ceil(retryAfterMs / 1000)} s.`);
  // 401 and 429 say that the call was refused, not run.
  const mayHaveRun = !isRepeatable && status !== 401 && status !== 429;
  const isAmbiguous = mayHaveRun && status >= 500;
  return {
    kind: 'failed',
    failure: { kind: 'status', status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
    error: new CallError('upstream_error', words.join(' ') + (isAmbiguous ? MAY_HAVE_EXECUTED : ''), {
      mayHaveRun,
    }),
  };
}

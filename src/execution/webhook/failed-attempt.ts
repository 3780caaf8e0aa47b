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
};

/** No whole answer came. @param isRepeatable whether running the tool twice does no more than running it once. */
export function brokenAttempt(error: EgressError, isRepeatable: boolean): FailedAttempt {
  const { reason, bytesSent } = error;
  const isAmbiguous = bytesSent && !isRepeatable && AMBIGUOUS.has(reason);
  const words = isAmbiguous ? ' The call may have executed: check before you call again.' : '';
  return {
    kind: 'failed',
    failure: failureOf(error),
    error: new CallError(CODES[reason], `${error.message}.${words}`, {
      cause: error,
      mayHaveRun: bytesSent && reason !== 'forbidden',
    }),
  };
}

const AMBIGUOUS: ReadonlySet<EgressError['reason']> = new Set(['reset', 'timeout', 'canceled']);

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
      return { kind: 'other' };
    default:
      return reason satisfies never;
  }
}

/** An answer came, with another status than 2xx. @param now the time in milliseconds since 1970. */
export function refusedStatus({ status, headers }: EgressResponse, now: number): FailedAttempt {
  const retryAfterMs = parseRetryAfter(getOwn(headers, 'retry-after'), now);
  const isRedirect = status >= 300 && status < 400;
  const again =
    retryAfterMs === undefined ? '' : ` It asks for a pause of ${Math.ceil(retryAfterMs / 1000)} s.`;
  return {
    kind: 'failed',
    failure: { kind: 'status', status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
    error: new CallError(
      'upstream_error',
      `The upstream answered with HTTP status ${status}.${isRedirect ? ' Redirects are not followed.' : again}`,
      // 429 says that the call was refused, not run.
      { mayHaveRun: status !== 429 },
    ),
  };
}

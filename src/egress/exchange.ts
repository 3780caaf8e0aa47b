import type { Dispatcher } from 'undici';
import { type Cancellation, onAbort } from '../cancellation.ts';
import type { Budget } from '../shared-budget.ts';
import { abortError, EgressError, exchangeError } from './egress-error.ts';
import { createResponseBody, type ResponseBody } from './response-body.ts';

/** What an upstream answered, a redirect included: none is followed. */
export interface EgressResponse {
  status: number;
  /** Names in lower case, as the upstream chose them: read them with `getOwn`. */
  headers: Record<string, string | string[] | undefined>;
  /** Whole, decompressed, within the request's limit. */
  body: Buffer;
}

/** More interim responses (1xx) than any server has a reason for. */
const MAX_INTERIM_RESPONSES = 16;

/**
 * Sends one request and collects its response. Ends at the first of: the whole response, an error, an abort of one of the
 * signals. All rejections are EgressErrors.
 */
export function runExchange(
  dispatcher: Dispatcher,
  request: Dispatcher.DispatchOptions,
  {
    signals,
    maxResponseBytes,
    memory,
  }: { signals: readonly (AbortSignal | Cancellation)[]; maxResponseBytes: number; memory: Budget },
): Promise<EgressResponse> {
  return new Promise((resolve, reject) => {
    let connection: Dispatcher.DispatchController | undefined;
    let failure: EgressError | undefined;
    let bytesSent = false;
    let interimResponses = 0;
    let body: ResponseBody | undefined;

    const listening = signals.map((signal) => onAbort(signal, abort));
    const stopListening = () => {
      for (const stop of listening) stop();
    };

    function succeed(response: EgressResponse): void {
      stopListening();
      resolve(response);
    }

    function fail(error: EgressError): void {
      if (failure !== undefined) return;
      failure = error;
      stopListening();
      reject(error);
      body?.discard();
      connection?.abort(error);
    }

    function abort(): void {
      const aborted = signals.find((signal) => signal.aborted);
      if (aborted !== undefined) fail(abortError(aborted, bytesSent));
    }

    function start(status: number, headers: EgressResponse['headers']): void {
      const encoding = headers['content-encoding'] ?? '';
      body = createResponseBody({
        contentEncoding: Array.isArray(encoding) ? encoding.join() : encoding,
        maxBytes: maxResponseBytes,
        memory,
        onDrain: () => connection?.resume(),
        onEnd: (error, content) =>
          error === null ? succeed({ status, headers, body: content }) : fail(error),
      });
    }

    const handler: Dispatcher.DispatchHandler = {
      // A connection is there; the request's bytes leave as soon as this returns.
      onRequestStart(controller) {
        connection = controller;
        if (failure === undefined) bytesSent = true;
        else controller.abort(failure);
      },
      onResponseStart(_controller, status, headers) {
        if (failure !== undefined) return;
        if (status >= 200) start(status, headers);
        else if (++interimResponses > MAX_INTERIM_RESPONSES) fail(tooManyInterimResponses());
      },
      onResponseData(controller, chunk) {
        if (body?.write(chunk) === false) controller.pause();
      },
      onResponseEnd: () => body?.end(),
      onResponseError: (_controller, error) => fail(exchangeError(error, bytesSent)),
    };

    abort();
    if (failure === undefined) dispatcher.dispatch(request, handler);
  });
}

function tooManyInterimResponses(): EgressError {
  return new EgressError('invalid_response', 'The upstream sent too many interim responses', {
    bytesSent: true,
  });
}

import type { EventEmitter } from 'node:events';
import { Code, ConnectError, type Interceptor } from '@connectrpc/connect';
import type { Metrics } from '../../metrics.ts';
import { httpRequestKey } from './caller.ts';
import { codeName, toConnectError, unreadable } from './errors.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The RPC that the request carries and how it ended, for the request's one line in the log. */
    rpc: { method: string; code: string } | null;
    /** The response of an RPC, to hear when it is done with. */
    response: EventEmitter | null;
  }
}

/** Maps errors, counts and times each RPC, and notes for the log how it ended. */
export function observe(metrics: Pick<Metrics, 'rpc'>): Interceptor {
  return (next) => async (request) => {
    const start = performance.now();
    const httpRequest = request.contextValues.get(httpRequestKey);
    // The guard has refused it, and has counted and noted that.
    if (httpRequest?.rpc) return next(request);
    const method = `${request.service.typeName}/${request.method.name}`;
    const note = (code: string | null) => {
      if (httpRequest) httpRequest.rpc = code === null ? null : { method, code };
    };
    let isOver = false;
    const finish = (code: string) => {
      if (isOver) return;
      isOver = true;
      note(code);
      metrics.rpc({ method, code }, (performance.now() - start) / 1000);
    };
    const fail = (thrown: unknown) => {
      const error = toConnectError(thrown, (fault) =>
        httpRequest?.log.error({ err: fault, method }, 'RPC failed'),
      );
      finish(codeName(error.code));
      return error;
    };
    let isUnread = false;
    const onUnread = () => {
      isUnread = true;
    };
    // What stands in the log when the client leaves before the end.
    note('canceled');
    try {
      const response = await next(
        request.stream ? { ...request, message: readable(request.message, onUnread) } : request,
      );
      if (!response.stream) {
        finish(hasLeft(request.signal) ? 'canceled' : 'ok');
        return response;
      }
      return { ...response, message: watched(response.message, request.signal, finish, fail) };
    } catch (thrown) {
      if (!isUnread) throw fail(thrown);
      // As with other RPCs, the guard answers for a message that cannot be read.
      note(null);
      throw thrown;
    }
  };
}

/** The messages of an answer that is a stream, which ends with the last of them, or when nobody reads on. */
async function* watched<T>(
  messages: AsyncIterable<T>,
  signal: AbortSignal,
  finish: (code: string) => void,
  fail: (thrown: unknown) => ConnectError,
): AsyncIterable<T> {
  // A client that leaves while it has yet to read is not always told to the writer, which then waits for ever.
  signal.addEventListener('abort', () => finish(codeName(endedBy(signal).code)), { once: true });
  try {
    yield* messages;
    finish('ok');
  } catch (thrown) {
    throw fail(signal.aborted ? endedBy(signal) : thrown);
  } finally {
    finish('canceled');
  }
}

/** Why a stream ended early: its deadline, or a client that left, however its connection tells. */
function endedBy({ reason }: AbortSignal): ConnectError {
  if (reason instanceof ConnectError && reason.code === Code.DeadlineExceeded) return reason;
  return new ConnectError('the call was canceled', Code.Canceled);
}

function hasLeft(signal: AbortSignal): boolean {
  return signal.aborted && endedBy(signal).code === Code.Canceled;
}

/** A stream's messages, in which one that cannot be read is the caller's fault, as `guard` has it for other RPCs. */
async function* readable<T>(messages: AsyncIterable<T>, onUnread: () => void): AsyncIterable<T> {
  try {
    yield* messages;
  } catch (error) {
    onUnread();
    throw error instanceof ConnectError && error.code === Code.Internal ? unreadable() : error;
  }
}

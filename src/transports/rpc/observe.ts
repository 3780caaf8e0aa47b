import { Code, ConnectError, type Interceptor } from '@connectrpc/connect';
import type { Metrics } from '../../metrics.ts';
import { httpRequestKey } from './caller.ts';
import { codeName, toConnectError, unreadable } from './errors.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The RPC that the request carries and how it ended, for the request's one line in the log. */
    rpc: { method: string; code: string } | null;
  }
}

/** Maps errors, counts and times each RPC, and notes for the log how it ended. */
export function observe(metrics: Pick<Metrics, 'rpc'>): Interceptor {
  return (next) => async (request) => {
    const start = performance.now();
    const httpRequest = request.contextValues.get(httpRequestKey);
    const method = `${request.service.typeName}/${request.method.name}`;
    const note = (code: string) => {
      if (httpRequest) httpRequest.rpc = { method, code };
    };
    const finish = (code: string) => {
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
    try {
      const response = await next(
        request.stream ? { ...request, message: readable(request.message) } : request,
      );
      if (!response.stream) {
        finish('ok');
        return response;
      }
      note('ok');
      return { ...response, message: watched(response.message, finish, fail) };
    } catch (thrown) {
      throw fail(thrown);
    }
  };
}

/** The messages of an answer that is a stream, which ends with the last of them, or when nobody reads on. */
async function* watched<T>(
  messages: AsyncIterable<T>,
  finish: (code: string) => void,
  fail: (thrown: unknown) => ConnectError,
): AsyncIterable<T> {
  let isOver = false;
  try {
    yield* messages;
    isOver = true;
    finish('ok');
  } catch (thrown) {
    isOver = true;
    throw fail(thrown);
  } finally {
    if (!isOver) finish('canceled');
  }
}

/** A stream's messages, in which one that cannot be read is the caller's fault, as `guard` has it for other RPCs. */
async function* readable<T>(messages: AsyncIterable<T>): AsyncIterable<T> {
  try {
    yield* messages;
  } catch (error) {
    throw error instanceof ConnectError && error.code === Code.Internal ? unreadable() : error;
  }
}

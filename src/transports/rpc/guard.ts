import { Code, ConnectError, createContextValues } from '@connectrpc/connect';
import {
  createAsyncIterable,
  type UniversalHandler,
  type UniversalHandlerFn,
  type UniversalServerResponse,
} from '@connectrpc/connect/protocol';
import type { FastifyRequest } from 'fastify';
import type { Caller } from '../../caller.ts';
import { ToolService } from '../../gen/tool/tool_pb.ts';
import type { Metrics } from '../../metrics.ts';
import { type AdmissionContext, admit } from '../admit.ts';
import { NO_CREDENTIALS } from '../authenticate.ts';
import { credentialsKey, httpRequestKey } from './caller.ts';
import { codeName, codeNamed, toConnectError, tooLarge, unreadable } from './errors.ts';

export interface GuardContext extends AdmissionContext {
  /** Whether the RPCs of the old service may be called without credentials. */
  readonly trustedNetwork: boolean;
  readonly metrics: Pick<Metrics, 'rpc'>;
  readonly limits: {
    /** Bytes of a message, after decompression. */
    readonly messageBytes: number;
  };
}

/** The RPCs of the service that this one replaces: its callers present no credentials. */
const OLD_RPCS: ReadonlySet<string> = new Set([
  ToolService.method.validateTools.name,
  ToolService.method.getToolDefinitions.name,
  ToolService.method.executeMultipleTools.name,
]);

/**
 * Lets callers in before their message is read: authenticates, then counts the request. Health and reflection are for
 * everyone.
 *
 * Also answers for messages that Connect cannot read, of which it tells no interceptor, and for which it blames itself.
 */
export function guard(context: GuardContext, handler: UniversalHandler): UniversalHandler {
  const answer: UniversalHandlerFn = async (request) => {
    const response = await handler(request);
    return { ...response, body: thenPlainMessage(response) };
  };
  const method = `${handler.service.typeName}/${handler.method.name}`;
  const guarded = handler.service.typeName === ToolService.typeName;

  const serve: UniversalHandlerFn = async (request) => {
    const start = performance.now();
    const values = request.contextValues ?? createContextValues();
    const httpRequest = values.get(httpRequestKey);
    if (!httpRequest || !handler.allowedMethods.includes(request.method)) return handler(request);

    const note = (code: string) => {
      httpRequest.rpc = { method, code };
      context.metrics.rpc({ method, code }, (performance.now() - start) / 1000);
    };
    const refuse = (error: ConnectError) => {
      note(codeName(error.code));
      httpRequest.raw.resume();
      const header = new Headers(request.header);
      header.delete('content-length'); // which would be looked at before the body
      return answer({ ...request, header, body: failing(error) });
    };
    if (guarded) {
      try {
        values.set(
          credentialsKey,
          await findCaller(context, handler.method.name, request.header, httpRequest),
        );
      } catch (error) {
        return refuse(
          toConnectError(error, (fault) => httpRequest.log.error({ err: fault, method }, 'RPC failed')),
        );
      }
    }
    const response = await answer({ ...request, contextValues: values, body: bodyOf(httpRequest) });
    if (httpRequest.rpc || !response.header?.has('content-type')) return response;

    // No interceptor was reached: Connect has refused the message.
    const body: Uint8Array[] = [];
    for await (const chunk of response.body ?? []) body.push(chunk);
    const code = request.signal.aborted ? Code.Canceled : codeOf(response, Buffer.concat(body));
    if (code === Code.Internal) return refuse(unreadable());
    if (code === Code.ResourceExhausted) return refuse(tooLarge(context.limits.messageBytes));
    note(codeName(code));
    return { ...response, body: createAsyncIterable(body) };
  };
  return Object.assign(serve, handler);
}

/**
 * The bytes of a request. A reader that stops early does not break the connection, on which the answer has yet to go
 * out; what is left is read and dropped.
 */
async function* bodyOf({ raw }: FastifyRequest): AsyncIterable<Uint8Array> {
  try {
    yield* raw.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
  } finally {
    raw.resume();
  }
}

/** The body of a request that is answered with `error`, in the words of whatever protocol it came by. */
async function* failing(error: ConnectError): AsyncIterable<Uint8Array> {
  yield* [];
  throw error;
}

/**
 * The body of a response, after which an error's words are spelt in the trailer as gRPC asks for: percent-encoded only
 * where they are not printable ASCII. Connect encodes more, which grpc-js does not decode again.
 */
async function* thenPlainMessage({ body, trailer }: UniversalServerResponse): AsyncIterable<Uint8Array> {
  yield* body ?? [];
  const message = trailer?.get('grpc-message');
  if (!message) return;
  const plain = decodeURIComponent(message).replace(/[^\x20-\x24\x26-\x7e]+/g, encodeURIComponent);
  trailer?.set('grpc-message', plain);
}

/** The status of an answer without a message, in any of the protocols. */
function codeOf({ trailer }: UniversalServerResponse, body: Buffer): Code {
  const text = body.toString();
  const [, name] = /"code":"(\w+)"/.exec(text) ?? [];
  if (name !== undefined) return codeNamed(name);
  return Number(trailer?.get('grpc-status') ?? /^grpc-status: (\d+)/m.exec(text)?.[1] ?? Code.Unknown);
}

/** Who makes a call, when it is let in. */
async function findCaller(
  context: GuardContext,
  method: string,
  header: Headers,
  httpRequest: FastifyRequest,
): Promise<Caller> {
  const authorization = header.get('authorization') ?? undefined;
  if (context.trustedNetwork && authorization === undefined && OLD_RPCS.has(method)) {
    return { kind: 'trusted-network', userId: null };
  }
  const admission = await admit(context, { authorization, address: httpRequest.ip });
  if (admission.kind === 'throttled') {
    const { seconds } = admission;
    throw new ConnectError(
      `Request was throttled. Expected available in ${seconds} seconds.`,
      Code.ResourceExhausted,
      { 'retry-after': String(seconds) },
    );
  }
  if (admission.kind === 'caller') return admission.caller;
  const { detail, messages } = admission.kind === 'refused' ? admission.refusal : NO_CREDENTIALS;
  const words = messages ? `${detail}: ${messages[0].message}` : detail;
  throw new ConnectError(words, Code.Unauthenticated, { 'www-authenticate': 'Bearer realm="api"' });
}

import { Code, ConnectError, type Interceptor } from '@connectrpc/connect';
import type { FastifyRequest } from 'fastify';
import type { Caller } from '../../caller.ts';
import { ToolService } from '../../gen/tool/tool_pb.ts';
import type { Metrics } from '../../metrics.ts';
import { type Authenticate, NO_CREDENTIALS } from '../authenticate.ts';
import type { Throttle } from '../throttle.ts';
import { credentialsKey, httpRequestKey } from './caller.ts';
import { toConnectError } from './errors.ts';

export interface GuardContext {
  readonly authenticate: Authenticate;
  readonly throttle: Throttle;
  /** Whether the RPCs of the old service may be called without credentials. */
  readonly trustedNetwork: boolean;
}

/** The RPCs of the service that this one replaces: its callers present no credentials. */
const OLD_RPCS: ReadonlySet<string> = new Set([
  ToolService.method.validateTools.name,
  ToolService.method.getToolDefinitions.name,
  ToolService.method.executeMultipleTools.name,
]);

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
    const finish = (code: string) => {
      if (httpRequest) httpRequest.rpc = { method, code };
      metrics.rpc({ method, code }, (performance.now() - start) / 1000);
    };
    try {
      const response = await next(request);
      finish('ok');
      return response;
    } catch (thrown) {
      const error = toConnectError(thrown, (fault) =>
        httpRequest?.log.error({ err: fault, method }, 'RPC failed'),
      );
      finish(Code[error.code].replace(/(?<=[a-z])[A-Z]/g, '_$&').toLowerCase());
      throw error;
    }
  };
}

/** Lets callers in: authenticates, then counts the request. Health and reflection are for everyone. */
export function guard(context: GuardContext): Interceptor {
  return (next) => (request) => {
    if (request.service.typeName === ToolService.typeName) {
      const httpRequest = request.contextValues.get(httpRequestKey);
      const caller = admit(context, request.method.name, request.header, httpRequest);
      request.contextValues.set(credentialsKey, caller);
    }
    return next(request);
  };
}

function admit(
  { authenticate, throttle, trustedNetwork }: GuardContext,
  method: string,
  header: Headers,
  httpRequest: FastifyRequest | undefined,
): Caller {
  const authorization = header.get('authorization') ?? undefined;
  if (trustedNetwork && authorization === undefined && OLD_RPCS.has(method)) {
    return { kind: 'trusted-network', userId: null };
  }
  const authentication = authenticate(authorization);
  const seconds = throttle.take(authentication, httpRequest?.ip ?? '');
  if (seconds > 0) {
    throw new ConnectError(
      `Request was throttled. Expected available in ${seconds} seconds.`,
      Code.ResourceExhausted,
      { 'retry-after': String(seconds) },
    );
  }
  if (authentication.kind === 'caller') return authentication.caller;
  const { detail, messages } = authentication.kind === 'refused' ? authentication.refusal : NO_CREDENTIALS;
  const words = messages ? `${detail}: ${messages[0].message}` : detail;
  throw new ConnectError(words, Code.Unauthenticated, { 'www-authenticate': 'Bearer realm="api"' });
}

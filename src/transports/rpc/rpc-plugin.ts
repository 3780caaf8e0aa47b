import { type ConnectRouter, createContextValues } from '@connectrpc/connect';
import { fastifyConnectPlugin } from '@connectrpc/connect-fastify';
import { compressionGzip } from '@connectrpc/connect-node';
import type { FastifyInstance } from 'fastify';
import type { ExecutionContext } from '../../execution/context.ts';
import { Health } from '../../gen/grpc/health/v1/health_pb.ts';
import {
  ServerReflection,
  type ServerReflectionRequest,
} from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import {
  type ServerReflectionRequest as AlphaReflectionRequest,
  ServerReflection as ServerReflectionAlpha,
} from '../../gen/grpc/reflection/v1alpha/reflection_pb.ts';
import { ToolService } from '../../gen/tool/tool_pb.ts';
import type { HistoryContext } from '../../history/list-executions.ts';
import type { Metrics } from '../../metrics.ts';
import type { Readiness } from '../../readiness.ts';
import type { ToolsContext } from '../../tools/context.ts';
import { httpRequestKey } from './caller.ts';
import { createExecuteRpcs } from './execute-rpc.ts';
import { type GuardContext, guard } from './guard.ts';
import { createHealthRpcs } from './health-rpc.ts';
import { createHistoryRpcs } from './history-rpc.ts';
import { observe } from './observe.ts';
import { createReflectionRpcs } from './reflection-rpc.ts';
import { createToolsRpcs } from './tools-rpc.ts';

export interface RpcContext extends GuardContext {
  readonly tools: ToolsContext;
  readonly execution: ExecutionContext;
  readonly history: HistoryContext;
  readonly metrics: Metrics;
  readonly ready: () => Promise<Pick<Readiness, 'isReady'>>;
  /** Aborts when the service begins to stop. */
  readonly stopping: AbortSignal;
  readonly limits: GuardContext['limits'] & { readonly toolIdsPerRequest: number };
}

/** Serves every RPC over gRPC, gRPC-Web and Connect. */
export async function registerRpc(app: FastifyInstance, context: RpcContext): Promise<void> {
  const services = [ToolService, Health, ServerReflection, ServerReflectionAlpha];
  const routes = (router: ConnectRouter) => {
    router.service(ToolService, {
      ...createToolsRpcs(context.tools, context.limits.toolIdsPerRequest),
      ...createExecuteRpcs(context.execution),
      ...createHistoryRpcs(context.history),
    });
    router.service(Health, createHealthRpcs(context.ready, context.stopping, services));
    router.service(ServerReflection, createReflectionRpcs<ServerReflectionRequest>(services));
    router.service(ServerReflectionAlpha, createReflectionRpcs<AlphaReflectionRequest>(services));
    for (const [index, handler] of router.handlers.entries()) {
      router.handlers[index] = guard(context, handler);
    }
  };
  app.decorateRequest('rpc', null);
  app.decorateRequest('response', null);
  await app.register(async (scope) => {
    scope.addHook('onRequest', (request, reply, done) => {
      request.response = reply.raw;
      // Connect makes URLs of the authority, which HTTP/1.0 does not know and strangers may misspell.
      const { headers } = request.raw;
      const name = request.raw.httpVersionMajor === 2 && headers[':authority'] ? ':authority' : 'host';
      if (!headers[name] || !URL.canParse(`http://${headers[name]}`)) headers[name] = 'localhost';
      done();
    });
    await scope.register(fastifyConnectPlugin, {
      routes,
      interceptors: [observe(context.metrics)],
      contextValues: (request) => createContextValues().set(httpRequestKey, request),
      readMaxBytes: context.limits.messageBytes,
      // Not Brotli: a few bytes of it make its decoder hold megabytes before the limit on a message is met.
      acceptCompression: [compressionGzip],
    });
  });
}

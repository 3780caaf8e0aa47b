import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ExecutionContext } from '../../execution/context.ts';
import type { HistoryContext } from '../../history/list-executions.ts';
import type { ToolsContext } from '../../tools/context.ts';
import { registerDocsRoutes } from './docs-routes.ts';
import { HttpError, methodNotAllowed, sendError } from './errors.ts';
import { registerExecuteRoute } from './execute-route.ts';
import { registerExecutionsRoute } from './executions-route.ts';
import { requireUser } from './guard.ts';
import { registerImportRoute } from './import-route.ts';
import { acceptRawBodies } from './json-body.ts';
import { type OperationsContext, registerOperationsRoutes } from './operations-routes.ts';
import { registerToolsRoutes } from './tools-routes.ts';
import { registerValidateRoute } from './validate-route.ts';

export interface RestContext extends OperationsContext {
  readonly tools: ToolsContext;
  readonly execution: ExecutionContext;
  readonly history: HistoryContext;
  readonly version: string;
  readonly limits: { readonly toolIdsPerRequest: number };
}

/** Serves REST, and answers on every path that nothing else serves. */
export async function registerRest(app: FastifyInstance, context: RestContext): Promise<void> {
  const methods = collectMethods(app);
  app.decorateRequest('callingUser', null);
  app.setErrorHandler(sendError);
  acceptRawBodies(app);
  registerOperationsRoutes(app, context);
  await registerDocsRoutes(app, context.version);
  await app.register(async (guarded) => {
    guarded.addHook('onRequest', (request) => requireUser(context, request));
    registerToolsRoutes(guarded, context.tools);
    registerImportRoute(guarded, context.tools);
    registerValidateRoute(guarded, context.tools, context.limits.toolIdsPerRequest);
    registerExecuteRoute(guarded, context.execution);
    registerExecutionsRoute(guarded, context.history);
  });

  const answerUnserved = async (request: FastifyRequest, reply: FastifyReply) => {
    if (/^application\/grpc/.test(request.headers['content-type'] ?? '')) {
      // An unknown method in gRPC's words: status 12 (UNIMPLEMENTED) in a response of headers alone.
      const type = request.headers['content-type']?.startsWith('application/grpc-web')
        ? 'application/grpc-web+proto'
        : 'application/grpc';
      return reply
        .headers({ 'content-type': type, 'grpc-status': '12', 'grpc-message': 'unknown method' })
        .send('');
    }
    const allowed = methods.of(request);
    if (!allowed) throw new HttpError(404, { detail: 'Not found.' });
    if (request.method === 'OPTIONS') return reply.code(204).header('Allow', allowed.join(', ')).send();
    if (allowed.guarded) await requireUser(context, request);
    throw methodNotAllowed(request.method, allowed);
  };
  // Before the body is read: neither its size nor its type matters where nothing is served.
  app.addHook('onRequest', (request, reply, done) => {
    if (request.is404) answerUnserved(request, reply).catch(done);
    else done();
  });
  app.setNotFoundHandler(answerUnserved);
}

type Allowed = string[] & { guarded?: boolean };

/** Learns which methods each path of ours has, for the answer to another. */
function collectMethods(app: FastifyInstance): { of(request: FastifyRequest): Allowed | undefined } {
  const paths = new Map<string, { pattern: RegExp; allowed: Allowed }>();
  app.addHook('onRoute', ({ url, method }) => {
    if (url.includes('*')) return;
    const known = paths.get(url) ?? {
      pattern: new RegExp(`^${url.replace(/\/$/, '').replaceAll('.', '\\.').replace(/:\w+/g, '[^/]+')}/?$`),
      allowed: Object.assign([] as string[], { guarded: url.startsWith('/ms7/') }),
    };
    known.allowed.push(...[method].flat().filter((name) => !known.allowed.includes(name)));
    paths.set(url, known);
  });
  return {
    of(request) {
      const path = request.url.split('?', 1)[0] ?? '';
      const matches = [...paths].filter(([, { pattern }]) => pattern.test(path));
      // As the router has it: a path of fixed words goes before one with an id.
      const [best] = matches.sort(([a], [b]) => Number(a.includes(':')) - Number(b.includes(':')));
      return best?.[1].allowed;
    },
  };
}

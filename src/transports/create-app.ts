import { randomUUID } from 'node:crypto';
import { cors as connectCors } from '@connectrpc/connect';
import cors from '@fastify/cors';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import type { Logger } from '../logging.ts';
import type { Metrics } from '../metrics.ts';
import { type RequestSpan, startRequestSpan } from '../tracing/request-span.ts';
import { parseTraceContext } from '../tracing/trace-context.ts';
import type { Tracer } from '../tracing/tracer.ts';
import type { Flights } from './flights.ts';
import type { Listener } from './listener/listener.ts';
import type { Overload } from './overload/overload.ts';
import { sendError } from './rest/errors.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** What of the request a trace shows; its context is the parent of what the request makes happen. */
    span: RequestSpan | null;
  }
}

export interface AppOptions {
  readonly listener: Listener;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  readonly flights: Flights;
  /** What refuses requests that there is no time for. By default none are. */
  readonly overload?: Overload;
  readonly trustedProxies: readonly string[];
  readonly corsOrigins: readonly string[];
  readonly maxBodyBytes: number;
  /** Whether the service is stopping: clients are then asked to come back on another connection. */
  readonly isDraining: () => boolean;
}

const SECURITY_HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'same-origin',
  'Cache-Control': 'private, no-cache',
};

/** The status of a request whose client left before it had the answer, for the log and metrics. */
const CLIENT_LEFT = 499;

/** Health, metrics and documents, asked for all the time: they would drown the rest of the traces. */
const UNTRACED = /^\/(?:healthz|readyz|metrics|openapi\.json|docs|grpc\.(?:health|reflection)\.)/;

/**
 * What every request has, whatever it speaks: an id, headers, a span, and one line in the log. Listens to nothing yet.
 */
export async function createApp(options: AppOptions): Promise<FastifyInstance> {
  const { listener, logger, metrics, flights, overload } = options;
  const app = Fastify({
    ...listener.fastify,
    // In front of everything: a refusal has to cost next to nothing.
    serverFactory: (handler) => listener.fastify.serverFactory(overload?.guard(handler) ?? handler),
    loggerInstance: logger as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: ({ headers }) =>
      requestId(headers['x-request-id']) ?? requestId(headers['x-correlation-id']) ?? randomUUID(),
    trustProxy: options.trustedProxies.length > 0 ? [...options.trustedProxies] : false,
    bodyLimit: options.maxBodyBytes,
    // The limit on headers bounds a path; an overlong id in one is an unknown tool like any other.
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 1_048_576 },
    frameworkErrors: (error, request, reply) => sendError(error, request, describe(request, reply)),
  });

  const concluded = new WeakSet<FastifyRequest>();
  /** Logs and counts a request that is over, once: its end may be heard of twice. */
  const conclude = (request: FastifyRequest, reply: FastifyReply, status: number) => {
    if (concluded.has(request)) return;
    concluded.add(request);
    const { method } = request;
    const durationMs = Math.round(reply.elapsedTime * 1000) / 1000;
    const line = {
      method,
      path: request.url.split('?', 1)[0],
      status,
      durationMs,
      ...(request.callingUser ? { userId: request.callingUser.userId } : {}),
      ...(request.rpc ? { rpc: request.rpc.method, code: request.rpc.code } : {}),
    };
    request.log.info(line, 'request');
    if (!request.rpc) {
      const route = request.routeOptions.url ?? 'unmatched';
      metrics.request({ method, route, status }, durationMs / 1000);
    }
  };
  app.decorateRequest('span', null);
  app.addHook('onRequest', (request, reply, done) => {
    flights.board(request.raw, reply.raw);
    describe(request, reply);
    trace(options.tracer, request, reply);
    // Fastify does not hear of a client of HTTP/1.1 that leaves before its answer has ended.
    reply.raw.once('close', () => {
      if (reply.raw.writableFinished === false) conclude(request, reply, CLIENT_LEFT);
    });
    if (options.isDraining() && request.raw.httpVersionMajor === 1) reply.header('Connection', 'close');
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    conclude(request, reply, reply.statusCode);
    done();
  });

  if (options.corsOrigins.length > 0) {
    await app.register(cors, {
      origin: [...options.corsOrigins],
      strictPreflight: false,
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
      allowedHeaders: [...connectCors.allowedHeaders, ...ALLOWED_HEADERS],
      exposedHeaders: [...connectCors.exposedHeaders, ...EXPOSED_HEADERS],
      maxAge: 7200,
    });
  }
  return app;
}

const ALLOWED_HEADERS = [
  'Authorization',
  'If-Match',
  'If-None-Match',
  'Traceparent',
  'Tracestate',
  'X-Request-Id',
  'X-Correlation-Id',
];
const EXPOSED_HEADERS = ['ETag', 'Link', 'Location', 'Retry-After', 'WWW-Authenticate', 'X-Request-Id'];

/** Puts on an answer what every answer has. */
function describe(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return reply.header('X-Request-Id', request.id).headers(SECURITY_HEADERS);
}

/** Opens the request's span, which closes with the response: an RPC's answer passes by the hooks. */
function trace(tracer: Tracer, request: FastifyRequest, reply: FastifyReply): void {
  const { method, headers, routeOptions } = request;
  const route = routeOptions.url;
  if (route !== undefined && UNTRACED.test(route)) return;
  const contentType = headers['content-type'];
  const span = startRequestSpan(tracer, { method, route, contentType, parent: parseTraceContext(headers) });
  request.span = span;
  if (!tracer.isExporting) return;
  reply.raw.once('close', () => {
    const isAnswered = reply.raw.writableEnded;
    span.end(isAnswered ? { status: reply.raw.statusCode, rpcCode: request.rpc?.code } : 'abandoned');
  });
}

/** A caller's id for the request, if it is one that can go into headers and logs as it is. */
function requestId(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && /^[\w.:/+=@-]{1,128}$/.test(header) ? header : undefined;
}

import type { TraceContext } from './trace-context.ts';
import { type Attributes, passOn, type Span, type Tracer } from './tracer.ts';

/** A request to this service, as its span tells it. */
export interface IncomingRequest {
  readonly method: string;
  /** The pattern, never a path; undefined where nothing is served. */
  readonly route: string | undefined;
  readonly contentType: string | undefined;
  readonly parent: TraceContext | undefined;
}

export type RequestOutcome =
  | {
      readonly status: number;
      /** In Connect's spelling, or `ok`; undefined where no RPC was reached. */
      readonly rpcCode: string | undefined;
    }
  /** The client left before it had its answer. */
  | 'abandoned';

export interface RequestSpan extends Pick<Span, 'context'> {
  end(outcome: RequestOutcome): void;
}

/** A stranger may make up a method: those count as one (HTTP semantic conventions, `http.request.method`). */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'CONNECT', 'TRACE']);

/** gRPC's status codes: the number of each is its place. */
const RPC_CODES = [
  'ok',
  'canceled',
  'unknown',
  'invalid_argument',
  'deadline_exceeded',
  'not_found',
  'already_exists',
  'permission_denied',
  'resource_exhausted',
  'failed_precondition',
  'aborted',
  'out_of_range',
  'unimplemented',
  'internal',
  'unavailable',
  'data_loss',
  'unauthenticated',
];

/** The codes that are a server's fault (gRPC semantic conventions, "gRPC Status"). */
const SERVER_FAULTS = new Set([
  'unknown',
  'deadline_exceeded',
  'unimplemented',
  'internal',
  'unavailable',
  'data_loss',
]);

/** Starts the span of a request, in the names of OpenTelemetry's semantic conventions for HTTP and for RPC. */
export function startRequestSpan(tracer: Tracer, request: IncomingRequest): RequestSpan {
  if (!tracer.isExporting) return passOn(request.parent);
  const [, service, method] = /^\/([\w.]+\.\w+)\/(\w+)$/.exec(request.route ?? '') ?? [];
  if (service === undefined || method === undefined) return startHttpSpan(tracer, request);
  return startRpcSpan(tracer, request, service, method);
}

function startHttpSpan(tracer: Tracer, { method, route, parent }: IncomingRequest): RequestSpan {
  const isKnown = METHODS.has(method);
  const name = isKnown ? method : 'HTTP';
  const span = tracer.startSpan(route === undefined ? name : `${name} ${route}`, {
    kind: 'server',
    parent,
    attributes: {
      'http.request.method': isKnown ? method : '_OTHER',
      ...(route === undefined ? {} : { 'http.route': route }),
    },
  });
  return endingWith(span, ({ status }) => ({
    attributes: { 'http.response.status_code': status },
    ...(status >= 500 ? { error: String(status) } : {}),
  }));
}

function startRpcSpan(
  tracer: Tracer,
  { contentType = '', parent }: IncomingRequest,
  service: string,
  method: string,
): RequestSpan {
  const isGrpc = contentType.startsWith('application/grpc');
  const span = tracer.startSpan(`${service}/${method}`, {
    kind: 'server',
    parent,
    attributes: {
      'rpc.system': isGrpc ? 'grpc' : 'connect_rpc',
      'rpc.service': service,
      'rpc.method': method,
    },
  });
  return endingWith(span, ({ rpcCode }) => {
    if (rpcCode === undefined) return {};
    return {
      attributes: isGrpc
        ? { 'rpc.grpc.status_code': RPC_CODES.indexOf(rpcCode) }
        : rpcCode === 'ok'
          ? {}
          : { 'rpc.connect_rpc.error_code': rpcCode },
      ...(SERVER_FAULTS.has(rpcCode) ? { error: rpcCode } : {}),
    };
  });
}

function endingWith(
  span: Span,
  describe: (answered: Exclude<RequestOutcome, 'abandoned'>) => { attributes?: Attributes; error?: string },
): RequestSpan {
  return {
    context: span.context,
    end: (outcome) => span.end(outcome === 'abandoned' ? { error: 'canceled' } : describe(outcome)),
  };
}

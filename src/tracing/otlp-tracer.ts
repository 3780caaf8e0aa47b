import {
  type Context,
  createTraceState,
  type Span as OtelSpan,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, type SpanExporter, TracerProvider } from '@opentelemetry/sdk-trace';
import type { TraceContext } from './trace-context.ts';
import type { SpanOptions, Tracer, TracerOptions } from './tracer.ts';

const MAX_ATTRIBUTE_LENGTH = 255;
/** Spans that wait to be sent; further ones are dropped. */
const MAX_QUEUE = 2048;
const MAX_BATCH = 512;
const BATCH_DELAY_MS = 5000;
const EXPORT_TIMEOUT_MS = 10_000;
const FLUSH_TIMEOUT_MS = 2000;
const FAULT_INTERVAL_MS = 60_000;

const KINDS: Record<SpanOptions['kind'], SpanKind> = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  internal: SpanKind.INTERNAL,
};

/**
 * OpenTelemetry's SDK behind our interface. Nothing global is registered: parents are passed from hand to hand, and the
 * SDK's own log stays silent. Its exporter reads the other OTEL_EXPORTER_OTLP_* variables (headers, certificates) itself.
 */
export function createOtlpTracer(
  options: Required<Omit<TracerOptions, 'endpoint'>> & { readonly endpoint: string },
): Tracer {
  const exporter = new OTLPTraceExporter({
    url: tracesUrl(options.endpoint),
    timeoutMillis: EXPORT_TIMEOUT_MS,
  });
  // Its sampler is the default of the specification: the parent's decision; where there is no parent, always.
  const provider = new TracerProvider({
    resource: defaultResource().merge(
      resourceFromAttributes({
        'service.name': options.serviceName,
        'service.version': options.serviceVersion,
      }),
    ),
    spanLimits: { attributeValueLengthLimit: MAX_ATTRIBUTE_LENGTH },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: tellingFaults(exporter, options),
        maxQueueSize: MAX_QUEUE,
        maxExportBatchSize: MAX_BATCH,
        scheduledDelayMillis: BATCH_DELAY_MS,
        exportTimeoutMillis: EXPORT_TIMEOUT_MS,
      }),
    ],
  });
  const tracer = provider.getTracer('tool-service', options.serviceVersion);
  let closed: Promise<void> | undefined;
  return {
    isExporting: true,
    startSpan(name, { kind, parent, attributes = {} }) {
      const span = tracer.startSpan(name, { kind: KINDS[kind], attributes }, below(parent, kind));
      return {
        context: contextOf(span, parent),
        end({ error, attributes: more } = {}) {
          if (more !== undefined) span.setAttributes(more);
          if (error !== undefined) {
            span.setAttribute('error.type', error).setStatus({ code: SpanStatusCode.ERROR });
          }
          span.end();
        },
      };
    },
    close() {
      closed ??= atMost(FLUSH_TIMEOUT_MS, provider.shutdown());
      return closed;
    },
  };
}

/** OpenTelemetry Protocol Exporter, section "Endpoint URLs for OTLP/HTTP": the signal's path goes below the base's. */
function tracesUrl(endpoint: string): string {
  const url = new URL(endpoint);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/v1/traces`;
  return url.href;
}

/** The same exporter, whose faults are heard of: the SDK would tell them to a log that nobody has. */
function tellingFaults(
  exporter: SpanExporter,
  { logFault, now }: Required<Pick<TracerOptions, 'logFault' | 'now'>>,
): SpanExporter {
  let quietUntil = Number.NEGATIVE_INFINITY;
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        if (result.error && now() >= quietUntil) {
          quietUntil = now() + FAULT_INTERVAL_MS;
          logFault(result.error);
        }
        done(result);
      }),
    shutdown: () => exporter.shutdown(),
  };
}

/** A context of OpenTelemetry in which the parent's span is the current one. */
function below(parent: TraceContext | undefined, kind: SpanOptions['kind']): Context {
  if (parent === undefined) return ROOT_CONTEXT;
  const [, traceId = '', spanId = '', flags = ''] = parent.traceparent.split('-');
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: kind === 'server',
    ...(parent.tracestate === undefined ? {} : { traceState: createTraceState(parent.tracestate) }),
  });
}

/** Tracestate is other systems' and goes on as it came. */
function contextOf(span: OtelSpan, parent: TraceContext | undefined): TraceContext {
  const { traceId, spanId, traceFlags } = span.spanContext();
  const traceparent = `00-${traceId}-${spanId}-0${traceFlags}`;
  return parent?.tracestate === undefined ? { traceparent } : { traceparent, tracestate: parent.tracestate };
}

/** Resolves when the work has ended, well or not, or the time is over. */
function atMost(timeoutMs: number, work: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, timeoutMs);
    const end = () => {
      clearTimeout(timer);
      resolve();
    };
    work.then(end, end);
  });
}

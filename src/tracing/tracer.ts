import type { TraceContext } from './trace-context.ts';

/** What a span tells about itself. A text over 255 characters is cut. Never a secret, an argument or an output. */
export type Attributes = Readonly<Record<string, string | number | boolean>>;

export interface SpanOptions {
  readonly kind: 'server' | 'client' | 'internal';
  readonly parent: TraceContext | undefined;
  readonly attributes?: Attributes;
}

/** Something that takes time, as a trace shows it. */
export interface Span {
  /** For what it calls: the parent of their spans. Undefined where there is no trace. */
  readonly context: TraceContext | undefined;
  /**
   * Ends it, once.
   *
   * @param outcome.error what failed, a code of a closed list; it becomes `error.type`.
   */
  end(outcome?: { readonly error?: string; readonly attributes?: Attributes }): void;
}

export interface Tracer {
  /** Whether spans go anywhere. Where they do not, nobody needs to describe one. */
  readonly isExporting: boolean;
  startSpan(name: string, options: SpanOptions): Span;
  /** Sends what is left, for at most two seconds. Idempotent; never rejects. */
  close(): Promise<void>;
}

export interface TracerOptions {
  /** The base URL of an OTLP receiver, to which `/v1/traces` is added; undefined for no tracing. */
  readonly endpoint: string | undefined;
  readonly serviceName: string;
  readonly serviceVersion: string;
  /** Where a failure to export is told, at most once a minute. */
  readonly logFault: (error: unknown) => void;
  /** The time in milliseconds since 1970. */
  readonly now?: () => number;
}

/** A span that nobody will see. */
export interface UnseenSpan {
  readonly context: TraceContext | undefined;
  end(): void;
}

const end = () => {};
const OUTSIDE_OF_TRACES: UnseenSpan = { context: undefined, end };

/** A span that only hands on what the caller sent. */
export function passOn(parent: TraceContext | undefined): UnseenSpan {
  return parent === undefined ? OUTSIDE_OF_TRACES : { context: parent, end };
}

const PASSING_ON: Tracer = {
  isExporting: false,
  startSpan: (_name, { parent }) => passOn(parent),
  async close() {},
};

/**
 * Makes what exports spans over OTLP (http/protobuf, the default of its specification) in batches. A caller's decision
 * to sample or not is respected, and traces that begin here are sampled. What cannot be sent is dropped: a receiver that
 * is slow or away disturbs nobody.
 */
export async function createTracer({ endpoint, now = Date.now, ...options }: TracerOptions): Promise<Tracer> {
  if (endpoint === undefined) return PASSING_ON;
  // Who does not trace pays nothing for OpenTelemetry, neither at the start nor in memory.
  const { createOtlpTracer } = await import('./otlp-tracer.ts');
  return createOtlpTracer({ endpoint, now, ...options });
}

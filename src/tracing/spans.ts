import { clip } from '../clip.ts';
import type { TraceContext } from './trace-context.ts';
import { passOn, type Span, type Tracer } from './tracer.ts';

// The spans of tool calls, in the names of OpenTelemetry's semantic conventions. Not one tells a path with its
// arguments, a query, a header, a credential, an argument or an output.

/** One request to somebody's endpoint. */
export interface AttemptSpan extends Pick<Span, 'context'> {
  end(outcome: { readonly status: number } | { readonly error: string }): void;
}

/** Starts the span of one tool call. Its name and id are what a model made them. */
export function startToolSpan(
  tracer: Tracer,
  call: { readonly name: string; readonly callId: string; readonly parent: TraceContext | undefined },
): Span {
  const { name, callId, parent } = call;
  if (!tracer.isExporting) return passOn(parent);
  return tracer.startSpan(`execute_tool ${clip(name, 255)}`, {
    kind: 'internal',
    parent,
    attributes: {
      'gen_ai.operation.name': 'execute_tool',
      'gen_ai.tool.name': name,
      ...(callId === '' ? {} : { 'gen_ai.tool.call.id': callId }),
    },
  });
}

/**
 * Starts the span of one request upstream; its context is to be sent along.
 *
 * @param request.attempt how many requests this call has made before.
 */
export function startAttemptSpan(
  tracer: Tracer,
  request: {
    readonly method: string;
    readonly url: URL;
    readonly parent: TraceContext | undefined;
    readonly attempt: number;
  },
): AttemptSpan {
  const { method, url, parent, attempt } = request;
  if (!tracer.isExporting) return passOn(parent);
  const { protocol, hostname, port } = url;
  const span = tracer.startSpan(method, {
    kind: 'client',
    parent,
    attributes: {
      'http.request.method': method,
      'server.address': hostname,
      'server.port': port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
      ...(attempt === 0 ? {} : { 'http.request.resend_count': attempt }),
    },
  });
  return {
    context: span.context,
    end(outcome) {
      if ('error' in outcome) return span.end({ error: outcome.error });
      const { status } = outcome;
      span.end({
        attributes: { 'http.response.status_code': status },
        ...(status >= 400 ? { error: String(status) } : {}),
      });
    },
  };
}

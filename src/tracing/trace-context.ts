/** A place in a distributed trace, as the headers of W3C Trace Context (level 1) name it. Can be spread into headers. */
export interface TraceContext {
  /** Always of version 00. */
  readonly traceparent: string;
  /** At most 512 characters. */
  readonly tracestate?: string;
}

const TRACEPARENT =
  /^(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;
const TRACEPARENT_LENGTH = 55;
/** Of a later version, which may have more to say. */
const MAX_TRACEPARENT_LENGTH = 512;

/** RFC 9110, section 5.5, without what is no ASCII. */
const PRINTABLE = /^[\t\x20-\x7e]+$/;
const MAX_TRACESTATE_LENGTH = 512;

const SAMPLED = 1;

/**
 * Reads the headers of a request, or of anything that has them by name. What a stranger wrote comes out well-formed and
 * bounded.
 *
 * @returns undefined where there is no valid `traceparent`; the trace starts anew then (W3C Trace Context, section 3.2).
 */
export function parseTraceContext(headers: Readonly<Record<string, unknown>>): TraceContext | undefined {
  const { traceparent: parent, tracestate: state } = headers;
  if (typeof parent !== 'string' || parent.length > MAX_TRACEPARENT_LENGTH) return undefined;
  const [, version, ids, flags = ''] = TRACEPARENT.exec(parent) ?? [];
  if (version === undefined) return undefined;
  if (version === '00' && parent.length !== TRACEPARENT_LENGTH) return undefined;
  // Of a later version only the known fields are read, and passed on in the words of the version known here (section 4).
  const traceparent = version === '00' ? parent : `00-${ids}-0${Number.parseInt(flags, 16) & SAMPLED}`;
  const tracestate = typeof state === 'string' ? shortened(state) : undefined;
  return tracestate === undefined ? { traceparent } : { traceparent, tracestate };
}

/** Whole members are dropped from the end until the rest is short enough (section 3.3.1.5). */
function shortened(tracestate: string): string | undefined {
  const end =
    tracestate.length > MAX_TRACESTATE_LENGTH
      ? tracestate.lastIndexOf(',', MAX_TRACESTATE_LENGTH)
      : undefined;
  const kept = end === -1 ? '' : tracestate.slice(0, end);
  return PRINTABLE.test(kept) ? kept : undefined;
}

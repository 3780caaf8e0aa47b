import type { IncomingMessage } from 'node:http';
import type { Http2ServerRequest, Http2Session } from 'node:http2';

/** Calls in flight that a connection is left in any case: enough to keep a service busy that has no time. */
const FEW_STREAMS = 4;

/** Limits go down in steps, each of which has time to show what it does, and come back up in others. In milliseconds. */
const DOWN_MS = 250;
const UP_MS = 1000;

/**
 * Limits on the calls in flight of HTTP/2 connections, lower for a while. What is beyond waits at its client, where it takes
 * no time from others; a refusal costs as much as a tenth of a call.
 */
export interface StreamLimits {
  /** Lowers that of the connection by which a request came. */
  lower(request: IncomingMessage): void;
  /** To be called often while nothing is refused: raises limits step by step to what they were. */
  raise(): void;
  /** To be called instead while there is enough to do: raises nothing for a while. */
  keep(): void;
}

/** The limit of a connection: before all, now, and when it was set. */
interface Limit {
  readonly before: number;
  now: number;
  setAt: number;
}

/** @param now a time in milliseconds that never goes back. */
export function createStreamLimits(now: () => number): StreamLimits {
  const lowered = new Map<Http2Session, Limit>();
  let keptAt = Number.NEGATIVE_INFINITY;

  function set(session: Http2Session, limit: Limit, streams: number): void {
    limit.now = streams;
    limit.setAt = now();
    session.settings({ maxConcurrentStreams: streams });
  }

  return {
    lower(request) {
      // Node's HTTP/2 requests share no type with those of HTTP/1.1.
      const { session } = (request as unknown as Http2ServerRequest).stream;
      // A client that has not acknowledged what it was told before is told nothing more.
      if (!session || session.destroyed || session.pendingSettingsAck) return;
      const before = session.localSettings.maxConcurrentStreams;
      if (before === undefined || before <= FEW_STREAMS) return;
      const limit = lowered.get(session) ?? { before, now: before, setAt: Number.NEGATIVE_INFINITY };
      if (now() - limit.setAt < DOWN_MS) return;
      if (!lowered.has(session)) session.once('close', () => lowered.delete(session));
      lowered.set(session, limit);
      set(session, limit, Math.max(FEW_STREAMS, Math.floor(limit.now / 4)));
    },
    raise() {
      if (now() - keptAt < UP_MS) return;
      for (const [session, limit] of lowered) {
        if (now() - limit.setAt < UP_MS || session.destroyed || session.pendingSettingsAck) continue;
        set(session, limit, Math.min(limit.before, limit.now * 2));
        if (limit.now === limit.before) lowered.delete(session);
      }
    },
    keep() {
      keptAt = now();
    },
  };
}

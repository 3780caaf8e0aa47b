import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '../../logging.ts';
import { type LoopTurns, watchLoopTurns } from './loop-turns.ts';
import { answerOverloaded } from './overload-answer.ts';
import { createQuietSockets } from './quiet-sockets.ts';
import { createStreamLimits } from './stream-limits.ts';

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Refuses requests that the service has no time for. */
export interface Overload {
  /** Puts itself in front of what serves requests. */
  guard(handler: Handler): Handler;
  close(): void;
}

export interface OverloadOptions {
  /** Turns of the event loop that take longer, one after the other, are an overload. In milliseconds. */
  readonly maxLoopDelayMs: number;
  readonly logger: Pick<Logger, 'warn' | 'info'>;
  /** Told of each request that is refused. */
  readonly onRefused: () => void;
  /** For tests: what watches the event loop. */
  readonly watchTurns?: (onEnd: (busyMs: number) => void) => LoopTurns;
  /** For tests: a time in milliseconds that never goes back. */
  readonly now?: () => number;
}

/** How long every turn must have been too long: one burst, or one long pause, is no overload. */
const STANDING_MS = 500;

/** How long a turn may be meanwhile: short, so that refusals are not late either. */
const TURN_MS = 12;

/**
 * How long a refusal is held back over HTTP/2. Whoever is refused asks again, often at once, and each refusal takes time from
 * what is served: this bounds how often one connection can ask. One of HTTP/1.1 is left unread for a while instead.
 */
const HOLD_MS = 10;

/**
 * After which time it is tried to serve all again, though some are refused: twice as long each time that this was too soon.
 * Where nothing was refused for the first of these, it is tried at once.
 */
const FIRST_TRIAL_MS = 1000;
const LAST_TRIAL_MS = 4000;

/** Requests that are begun in one turn meanwhile, at least, and at first. How many there is time for is found out. */
const MIN_ROOM = 4;
const FIRST_ROOM = 16;

/** Operators have to see what happens, above all now. */
const EXEMPT = /^\/(?:(?:healthz|readyz|metrics)\/?(?:\?|$)|grpc\.health\.v1\.Health\/)/;

/** What is known while requests are refused. */
interface Shedding {
  /** Requests that are begun in one turn. */
  room: number;
  /** When it is tried to serve all again. */
  trialAt: number;
  /** Requests that were there in one turn, begun or not. */
  mostAtOnce: number;
  refused: number;
  /** When the last of these was. */
  refusedAt: number;
}

/**
 * Watches how long the event loop takes for a turn, which is how late it looks at what arrives. When that stays too long, as
 * many requests are begun as there is time for; the others are refused before anything of them is looked at. Otherwise
 * all would be answered, and all after their clients have given up.
 *
 * As with CoDel (RFC 8289) it is the shortest delay over a while that counts. Calls that wait for a tool's host leave
 * the loop alone, and are no overload.
 */
export function createOverload(options: OverloadOptions): Overload {
  const { maxLoopDelayMs, logger, onRefused, watchTurns = watchLoopTurns } = options;
  const now = options.now ?? (() => performance.now());
  const streamLimits = createStreamLimits(now);
  const quietSockets = createQuietSockets();
  /** Since when every turn was too long. */
  let lateSince: number | undefined;
  let begunInTurn = 0;
  let refusedInTurn = 0;
  /** Refusals that are held back. */
  let held = 0;
  /** What is being refused; undefined in good times. */
  let shedding: Shedding | undefined;
  let trialMs = FIRST_TRIAL_MS;
  /** Until when it is seen whether the end of an overload was one. */
  let trialEndsAt = Number.NEGATIVE_INFINITY;

  const turns = watchTurns((busyMs) => {
    if (busyMs < maxLoopDelayMs) lateSince = undefined;
    if (shedding) {
      // As TCP finds out what a path can carry.
      if (busyMs > 1.5 * TURN_MS) shedding.room = Math.max(MIN_ROOM, shedding.room * 0.9);
      else if (busyMs < TURN_MS && begunInTurn >= shedding.room) shedding.room++;
      const waiting = Math.max(refusedInTurn, held + quietSockets.size);
      shedding.mostAtOnce = Math.max(shedding.mostAtOnce, begunInTurn + waiting);
      if (now() - shedding.refusedAt >= FIRST_TRIAL_MS) end(shedding);
      else if (now() >= shedding.trialAt) endIfOver(shedding);
    } else if (busyMs >= maxLoopDelayMs / 2) {
      streamLimits.keep();
    } else {
      streamLimits.raise();
    }
    begunInTurn = 0;
    refusedInTurn = 0;
  });

  function begin(busyMs: number): void {
    trialMs = now() < trialEndsAt ? Math.min(2 * trialMs, LAST_TRIAL_MS) : FIRST_TRIAL_MS;
    shedding = { room: FIRST_ROOM, trialAt: now() + trialMs, mostAtOnce: 0, refused: 0, refusedAt: now() };
    logger.warn({ loopDelayMs: Math.round(busyMs) }, 'overloaded: requests are refused');
  }

  function endIfOver(state: Shedding): void {
    // All that came at the same time, had it been begun, would have made a turn of this length.
    const isOver = state.mostAtOnce * (TURN_MS / state.room) < maxLoopDelayMs / 2;
    if (isOver) {
      end(state);
    } else {
      state.trialAt = now() + FIRST_TRIAL_MS;
      state.mostAtOnce = 0;
    }
  }

  function end(state: Shedding): void {
    shedding = undefined;
    trialEndsAt = now() + trialMs;
    logger.info({ refused: state.refused }, 'no longer overloaded');
  }

  function isLate(busyMs: number): boolean {
    if (busyMs < maxLoopDelayMs) return false;
    // An overload that was taken to be over was not.
    if (now() < trialEndsAt) return true;
    lateSince ??= now();
    return now() - lateSince >= STANDING_MS;
  }

  /** Whether there is time for one more request, which is then taken. */
  function takeTime(): boolean {
    const busyMs = turns.busyMs();
    if (!shedding && isLate(busyMs)) begin(busyMs);
    if (shedding && begunInTurn >= (busyMs < TURN_MS ? shedding.room : MIN_ROOM)) return false;
    begunInTurn++;
    return true;
  }

  function refuse(request: IncomingMessage, response: ServerResponse): void {
    if (shedding) {
      shedding.refused++;
      shedding.refusedAt = now();
    }
    refusedInTurn++;
    onRefused();
    if (request.httpVersionMajor === 1) {
      response.once('finish', () => quietSockets.add(request.socket));
      answerOverloaded(request, response);
      return;
    }
    streamLimits.lower(request);
    held++;
    setTimeout(() => {
      held--;
      answerOverloaded(request, response);
    }, HOLD_MS);
  }

  return {
    guard: (handler) => (request, response) => {
      if (takeTime() || EXEMPT.test(request.url ?? '')) handler(request, response);
      else refuse(request, response);
    },
    close: () => turns.close(),
  };
}

import type { Socket } from 'node:net';

/** A client that has taken less than this has not read on: answers to pings move a few bytes too. */
const MIN_BYTES = 1024;

/** Watches whether a client reads its answer. */
export interface Reading {
  /**
   * To be asked now and then.
   *
   * @param isWaiting whether any of the answer has yet to leave.
   * @param taken bytes that the client has taken from its connection so far.
   * @returns whether it has waited for too long.
   */
  hasStalled(isWaiting: boolean, taken: number): boolean;
}

export function watchReading(timeoutMs: number): Reading {
  let last: { readonly taken: number; readonly at: number } | undefined;
  return {
    hasStalled(isWaiting, taken) {
      const now = performance.now();
      if (!isWaiting) last = undefined;
      else if (!last || taken - last.taken >= MIN_BYTES) last = { taken, at: now };
      return last !== undefined && now - last.at >= timeoutMs;
    },
  };
}

/** Node tells only its handle how much of a write that is under way has left. */
interface Handle {
  readonly bytesWritten: number;
  /** Of these, bytes that the kernel has not taken yet. */
  readonly writeQueueSize: number;
}

function handleOf(socket: Socket): Handle | undefined {
  return (socket as { readonly _handle?: Handle | null })._handle ?? undefined;
}

/** Bytes that a socket's peer has made room for so far. */
export function bytesTaken(socket: Socket): number {
  const handle = handleOf(socket);
  return handle ? handle.bytesWritten - handle.writeQueueSize : 0;
}

/** Bytes that a socket's peer has not made room for. */
export function bytesWaiting(socket: Socket): number {
  return handleOf(socket)?.writeQueueSize ?? 0;
}

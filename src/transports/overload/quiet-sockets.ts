import type { Socket } from 'node:net';

/** How many connections of HTTP/1.1 are read again in a second, of those that were refused something. */
const READS_PER_SECOND = 1000;

/** No connection is left unread for longer: as long as its client was asked to wait. */
const MAX_QUIET_MS = 1000;

/** Connections of HTTP/1.1 that are left unread for a while, so that what they ask next takes no time from others. */
export interface QuietSockets {
  readonly size: number;
  /** Leaves a connection unread: the longer the more of them there are. */
  add(socket: Socket): void;
}

/** Node pauses a socket whose bytes go to its HTTP parser by its handle alone. */
interface Handle {
  readStart(): void;
  readStop(): void;
}

export function createQuietSockets(): QuietSockets {
  let size = 0;
  let nextReadAt = 0;

  const handleOf = (socket: Socket) => (socket as { readonly _handle?: Handle | null })._handle;
  const read = (socket: Socket) => {
    size--;
    handleOf(socket)?.readStart();
  };
  return {
    get size() {
      return size;
    },
    add(socket) {
      const now = performance.now();
      nextReadAt = Math.max(now, nextReadAt) + 1000 / READS_PER_SECOND;
      size++;
      handleOf(socket)?.readStop();
      setTimeout(read, Math.min(nextReadAt - now, MAX_QUIET_MS), socket).unref();
    },
  };
}

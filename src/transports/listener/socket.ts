import type { Duplex } from 'node:stream';

/** How long a client may take to read the last bytes and to close, once this side has said its last. */
const LINGER_MS = 250;

/**
 * Destroys a socket that is being ended, a moment later: done at once, bytes of the client still on their way would
 * reset the connection, and the client could lose what was just sent to it.
 */
export function destroySoon(socket: Duplex): void {
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}

import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { destroySoon } from './socket.ts';

export type Http2Connection = ReturnType<typeof createHttp2Connection>;

/** What the listener knows of one HTTP/2 connection, and the bounds on a client's silence that Node leaves out. */
export function createHttp2Connection(
  session: ServerHttp2Session,
  socket: Socket,
  limits: { handshakeTimeoutMs: number; requestTimeoutMs: number; idleTimeoutMs: number },
) {
  const open = new Set<ServerHttp2Stream>();

  session.on('stream', (stream) => {
    open.add(stream);
    const timer = stream.endAfterHeaders ? undefined : setTimeout(cancel, limits.requestTimeoutMs, stream);
    stream.once('end', () => clearTimeout(timer));
    stream.once('close', () => {
      clearTimeout(timer);
      open.delete(stream);
    });
  });

  /** Sends GOAWAY, lets the streams in flight finish, and closes the connection then. */
  const close = () => {
    session.close();
    // Node would wait for headers that have begun to arrive, and for what the client does not read.
    if (open.size === 0) destroySoon(socket);
  };

  /** Nothing was sent or received for long: closes the session unless it waits for us. */
  const idle = () => {
    if (open.size === 0) close();
    for (const stream of open) if (stream.writableEnded || stream.writableLength > 0) cancel(stream);
    session.setTimeout(limits.idleTimeoutMs);
  };
  session.on('timeout', idle);
  session.setTimeout(limits.handshakeTimeoutMs);
  session.once('remoteSettings', () => session.setTimeout(limits.idleTimeoutMs));

  // Node waits without end for a client to close its side of a connection after this side is closed.
  socket.once('finish', () => destroySoon(socket));

  return { close };
}

function cancel(stream: ServerHttp2Stream): void {
  stream.close(constants.NGHTTP2_CANCEL);
}

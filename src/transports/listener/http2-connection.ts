import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { bytesTaken, bytesWaiting, type Reading, watchReading } from './reading.ts';
import { destroySoon } from './socket.ts';

export type Http2Connection = ReturnType<typeof createHttp2Connection>;

/** What the listener knows of one HTTP/2 connection, and the bounds on a client's silence that Node leaves out. */
export function createHttp2Connection(
  session: ServerHttp2Session,
  socket: Socket,
  limits: {
    handshakeTimeoutMs: number;
    requestTimeoutMs: number;
    idleTimeoutMs: number;
    stallTimeoutMs: number;
  },
) {
  const open = new Map<ServerHttp2Stream, Reading>();

  session.on('stream', (stream) => {
    open.set(stream, watchReading(limits.stallTimeoutMs));
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
    for (const stream of open.keys()) if (isUnread(stream)) cancel(stream);
    session.setTimeout(limits.idleTimeoutMs);
  };

  /** To be called now and then: gives up answers that the client does not read, whatever else it does meanwhile. */
  const check = () => {
    const taken = bytesTaken(socket);
    for (const [stream, reading] of open) {
      if (!reading.hasStalled(isUnread(stream) && !stream.writableFinished, taken)) continue;
      // Where not even the socket is read, a reset would wait behind the answer.
      if (bytesWaiting(socket) > 0) socket.destroy();
      else cancel(stream);
    }
  };
  session.on('timeout', idle);
  session.setTimeout(limits.handshakeTimeoutMs);
  session.once('remoteSettings', () => session.setTimeout(limits.idleTimeoutMs));

  // Node waits without end for a client to close its side of a connection after this side is closed.
  socket.once('finish', () => destroySoon(socket));

  return { close, check };
}

function isUnread(stream: ServerHttp2Stream): boolean {
  return stream.writableEnded || stream.writableLength > 0;
}

function cancel(stream: ServerHttp2Stream): void {
  stream.close(constants.NGHTTP2_CANCEL);
}

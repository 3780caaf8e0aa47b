import type { Server } from 'node:http';
import type { ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { createHttp1Connection, type Http1Connection } from './http1-connection.ts';
import { createHttp2Connection, type Http2Connection } from './http2-connection.ts';
import {
  createFrontServer,
  createInnerServer,
  type Handler,
  type ListenerOptions,
  withDefaults,
} from './node-servers.ts';
import { detectProtocol } from './protocol.ts';

export type { ListenerOptions };

export interface Listener {
  /** To be spread into the options of Fastify. */
  readonly fastify: {
    serverFactory(handler: Handler): Server;
    clientErrorHandler(error: Error, socket: Socket): void;
    return503OnClosing: false;
  };
  /** Connections open now. */
  readonly connections: number;
  /**
   * Stops accepting, closes what is idle at once, lets calls in flight finish (also those that still come on their
   * connections by HTTP/1.1), and destroys what is left after `deadlineMs`. Resolves when every socket is closed. May be called again, to set an earlier deadline.
   */
  drain(deadlineMs: number): Promise<void>;
}

/**
 * One port for HTTP/1.1 and HTTP/2, in clear text or TLS, for one Fastify.
 *
 * ```ts
 * const listener = createListener(options);
 * const app = Fastify({ ...listener.fastify });
 * app.addHook('preClose', () => listener.drain(10_000));
 * ```
 * On SIGTERM: say "not ready", then `app.close()`, which drains before it runs the `onClose` hooks. Without the hook
 * it drains as well, but has no deadline. `drain` and `close` may come in any order, and more than once.
 */
export function createListener(options: ListenerOptions = {}): Listener {
  const limits = withDefaults(options);
  const server = createFrontServer(limits);
  /** Every socket, from its first moment to its last. */
  const sockets = new Set<Socket>();
  /** Those whose protocol is known, by the socket that speaks it: with TLS, not the one in `sockets`. */
  const http1 = new Map<Socket, Http1Connection>();
  const http2 = new Map<Socket, Http2Connection>();
  let closing = false;

  function listen(handler: Handler): Server {
    const inner = createInnerServer(limits, handler);

    const answer: Handler = (request, response) => {
      const connection = http1.get(request.socket);
      if (request.httpVersion === '1.1' && request.headers.host === undefined) {
        connection?.refuse();
      } else {
        connection?.begin(response);
        handler(request, response);
      }
    };
    server.on('request', answer).on('checkExpectation', answer);
    server.on('clientError', (fault: Error, socket: Socket) => refuse(fault, socket));
    server.on('timeout', (socket: Socket) => http1.get(socket)?.idle());

    // Node's own listener is taken off, and called for the sockets that turn out to speak HTTP/1.1.
    const established = limits.tls ? 'secureConnection' : 'connection';
    const serveHttp1 = server.listeners(established);
    server.removeAllListeners(established);

    const serve = (socket: Socket, protocol: 'http1' | 'http2') => {
      socket.on('error', ignore);
      if (closing) {
        socket.destroy();
      } else if (protocol === 'http1') {
        track(http1, socket, createHttp1Connection(socket, limits));
        for (const listener of serveHttp1) listener.call(server, socket);
      } else {
        // A client that is gone cancels its streams; the socket of a server of HTTP/1.1 would stay half open.
        socket.allowHalfOpen = false;
        inner.once('session', (session: ServerHttp2Session) => {
          track(http2, socket, createHttp2Connection(session, socket, limits));
        });
        inner.emit('connection', socket);
      }
    };

    const handshake = server.listeners('connection');
    server.removeAllListeners('connection');
    server.on('connection', (socket: Socket) => {
      socket.on('error', ignore).once('close', () => sockets.delete(socket));
      // Not by Node's `maxConnections`: with that, worker processes that are full hand a connection round and round.
      if (sockets.size >= limits.maxConnections) {
        socket.destroy();
        return;
      }
      sockets.add(socket);
      if (limits.tls) {
        for (const listener of handshake) listener.call(server, socket);
      } else {
        detectProtocol(socket, limits.handshakeTimeoutMs, (protocol) => {
          serve(socket, protocol);
          if (protocol === 'http1') socket.resume();
        });
      }
    });
    server.on('secureConnection', (socket: TLSSocket) => {
      serve(socket, socket.alpnProtocol === 'h2' ? 'http2' : 'http1');
    });

    const checking = setInterval(() => {
      for (const connection of [...http1.values(), ...http2.values()]) connection.check();
    }, limits.stallTimeoutMs / 4).unref();
    server.once('close', () => clearInterval(checking));

    const stop = server.close;
    server.close = (callback) => {
      closeConnections();
      return stop.call(server, callback);
    };
    return server;
  }

  /** Answers what Node could not make a request of; what is no fault of HTTP/1.1 has nobody to be answered. */
  function refuse(fault: Error, socket: Socket): void {
    const connection = http1.get(socket);
    if (connection) connection.refuse(fault);
    else socket.destroy();
  }

  /** Closes every connection once its calls are finished, and those whose protocol is not known yet. */
  function closeConnections(): void {
    closing = true;
    const known = new Set([...http1.keys(), ...http2.keys()].map(endsOf));
    for (const socket of sockets) if (!known.has(endsOf(socket))) socket.destroy();
    for (const connection of [...http1.values(), ...http2.values()]) connection.close();
  }

  return {
    fastify: { serverFactory: listen, clientErrorHandler: refuse, return503OnClosing: false },
    get connections() {
      return sockets.size;
    },
    async drain(deadlineMs) {
      const deadline = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, deadlineMs);
      server.close();
      for (const socket of sockets) await new Promise((resolve) => socket.once('close', resolve));
      clearTimeout(deadline);
    },
  };
}

function track<Connection>(
  connections: Map<Socket, Connection>,
  socket: Socket,
  connection: Connection,
): void {
  connections.set(socket, connection);
  socket.once('close', () => connections.delete(socket));
}

/** The same for a TLS socket as for the socket that it is made of, which it does not name. */
function endsOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress}`;
}

/** What ends a connection is told by its requests and its `close`; an `error` without a listener ends the process. */
function ignore(): void {}

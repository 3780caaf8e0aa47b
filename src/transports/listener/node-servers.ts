import {
  createServer as createHttp1Server,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import {
  createServer as createHttp2Server,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2';
import { createServer as createTlsServer } from 'node:https';

export interface ListenerOptions {
  /** PEM. With it the port speaks TLS alone, and ALPN settles the protocol. */
  tls?: { cert: string | Buffer; key: string | Buffer };
  /** All headers of a request: beyond it, 431 on HTTP/1.1, and the stream is reset on HTTP/2. Default 16 KiB. */
  maxHeaderBytes?: number;
  /** Calls that one HTTP/2 connection may have in flight. Default 256. */
  maxStreamsPerConnection?: number;
  /** Connections of this process in all; those beyond are dropped. Default: no limit. */
  maxConnections?: number;
  /** Until the TLS handshake is done, the protocol is known, and HTTP/2 settings have arrived. Default 10 s. */
  handshakeTimeoutMs?: number;
  /** Until the headers of a HTTP/1.1 request are complete. Default 20 s. */
  headersTimeoutMs?: number;
  /** Until the body of a request is complete; bounds streaming calls of the client too. Default 5 minutes. */
  requestTimeoutMs?: number;
  /** How long a HTTP/1.1 connection is kept for the next request. Default 72 s: longer than proxies keep theirs. */
  keepAliveTimeoutMs?: number;
  /**
   * A HTTP/2 connection without calls is closed, and on both protocols an answer that the client does not read is
   * given up, when nothing moved for so long. A call that waits for us is never cut. Default 5 minutes.
   */
  idleTimeoutMs?: number;
  /** An answer of which the client has read next to nothing for so long is given up, on both protocols. Default 30 s. */
  stallTimeoutMs?: number;
}

/** The options with nothing left open. */
export type Limits = ReturnType<typeof withDefaults>;

export function withDefaults(options: ListenerOptions) {
  return {
    maxHeaderBytes: 16_384,
    maxStreamsPerConnection: 256,
    maxConnections: Number.POSITIVE_INFINITY,
    handshakeTimeoutMs: 10_000,
    headersTimeoutMs: 20_000,
    requestTimeoutMs: 300_000,
    keepAliveTimeoutMs: 72_000,
    idleTimeoutMs: 300_000,
    stallTimeoutMs: 30_000,
    ...options,
  };
}

/** The server that listens: Node's own for HTTP/1.1, in clear text or TLS. */
export function createFrontServer(limits: Limits): Server {
  const options = {
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: Math.min(limits.headersTimeoutMs, limits.requestTimeoutMs),
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: Math.ceil(limits.headersTimeoutMs / 4),
    requireHostHeader: false, // Node's own answer has no body; the listener's has
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
  };
  const server = limits.tls
    ? createTlsServer({
        ...options,
        ...limits.tls,
        ALPNProtocols: ['h2', 'http/1.1'],
        handshakeTimeout: limits.handshakeTimeoutMs,
        allowHalfOpen: true,
      })
    : createHttp1Server(options);
  server.timeout = limits.idleTimeoutMs;
  // Without this (Node's types do not know it) a client that ends its side after its request gets no answer.
  return Object.assign(server, { httpAllowHalfOpen: true });
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** The server that never listens, and is given the connections that speak HTTP/2. */
export function createInnerServer(limits: Limits, handler: Handler): Http2Server {
  return createHttp2Server(
    {
      settings: {
        maxConcurrentStreams: limits.maxStreamsPerConnection,
        maxHeaderListSize: limits.maxHeaderBytes,
      },
    },
    // Node's HTTP/2 requests and responses do what those of HTTP/1.1 do, but share no type with them.
    handler as unknown as (request: Http2ServerRequest, response: Http2ServerResponse) => void,
  );
}

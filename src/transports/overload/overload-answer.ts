import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

const DETAIL = 'The service is overloaded. Try again.';
const RETRY_SECONDS = 1;

/** What every answer has, and when to come back; gRPC has a word of its own for that, which its clients heed. */
const HEADERS: readonly string[] = [
  ...['X-Content-Type-Options', 'nosniff'],
  ...['X-Frame-Options', 'DENY'],
  ...['Referrer-Policy', 'same-origin'],
  ...['Cache-Control', 'private, no-cache'],
  ...['Retry-After', String(RETRY_SECONDS)],
];
const GRPC_HEADERS: readonly string[] = [
  ...HEADERS,
  ...['grpc-status', '14'],
  ...['grpc-message', DETAIL],
  ...['grpc-retry-pushback-ms', String(RETRY_SECONDS * 1000)],
];

const REST_BODY = JSON.stringify({ detail: DETAIL });
const CONNECT_ERROR = { code: 'unavailable', message: DETAIL };
const CONNECT_BODY = JSON.stringify(CONNECT_ERROR);
/** The end of a stream: a flag, the length of what follows in four bytes, and the error. */
const CONNECT_END = makeEnvelope(2, JSON.stringify({ error: CONNECT_ERROR }));

/**
 * Tells a client that there is no time for its request, in the words of whatever protocol it speaks: gRPC, gRPC-Web, Connect
 * or REST. Costs as little as it can, and does nothing where the client has left.
 */
export function answerOverloaded(request: IncomingMessage, response: ServerResponse): void {
  if (response.destroyed || response.headersSent) return;
  const { url = '', headers } = request;
  const contentType = headers['content-type'] ?? '';
  if (contentType.startsWith('application/grpc')) {
    send(response, 200, contentType, GRPC_HEADERS);
  } else if (contentType.startsWith('application/connect+')) {
    send(response, 200, contentType, HEADERS, CONNECT_END);
  } else {
    const body = isRpc(url) ? CONNECT_BODY : REST_BODY;
    send(response, 503, 'application/json; charset=utf-8', HEADERS, body);
  }
}

/** Paths of RPCs bear the name of a package, those of REST have no dots in their first part. */
function isRpc(url: string): boolean {
  return /^\/\w+\.[\w.]+\/\w/.test(url);
}

function send(
  response: ServerResponse,
  status: number,
  contentType: string,
  headers: readonly string[],
  body?: string | Buffer,
): void {
  const fields = [...headers, 'Content-Type', contentType, 'X-Request-Id', randomUUID()];
  if (body !== undefined) {
    response.writeHead(status, [...fields, 'Content-Length', String(Buffer.byteLength(body))]);
  } else {
    // Not by `writeHead`, so that an answer without a body is one frame on HTTP/2.
    response.statusCode = status;
    for (let index = 0; index < fields.length; index += 2) {
      response.setHeader(fields[index] ?? '', fields[index + 1] ?? '');
    }
  }
  response.end(body);
}

function makeEnvelope(flags: number, text: string): Buffer {
  const bytes = Buffer.from(text);
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

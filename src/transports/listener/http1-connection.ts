import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { bytesTaken, watchReading } from './reading.ts';
import { destroySoon } from './socket.ts';

/** How often a client that has ended its side is tested for still being there. */
const HALF_OPEN_TEST_MS = 500;

/** Answers to what never became a request, by Node's code for the fault; every other fault of HTTP is a bad request. */
const answers: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: answer('431 Request Header Fields Too Large', 'Request header fields too large.'),
  ERR_HTTP_REQUEST_TIMEOUT: answer('408 Request Timeout', 'Request timed out.'),
};
const badRequest = answer('400 Bad Request', 'Bad request.');

export type Http1Connection = ReturnType<typeof createHttp1Connection>;

/** What the listener knows of one HTTP/1.1 connection: the answers that it still owes. */
export function createHttp1Connection(socket: Socket, { stallTimeoutMs }: { stallTimeoutMs: number }) {
  /** In the order of the requests: more than one when the client pipelines. */
  const open = new Set<ServerResponse>();
  const reading = watchReading(stallTimeoutMs);
  let closing = false;

  // A client that has gone and one that has only ended its side look alike: both send a FIN. The kernel of one that
  // has gone answers bytes with a reset, which the next bytes meet, and so its call is cancelled. The other skips
  // interim answers (RFC 9110, section 15.2). Nothing may be put into an answer that has begun and is not all there yet,
  // a stream: who ends its side of that is taken for gone, or the stream's calls would run on for nobody.
  const testHalfOpen = () => {
    const [first] = open;
    if (!first) return;
    if (first.headersSent && !first.writableEnded) socket.destroy();
    else if (!first.headersSent && first.req.httpVersion === '1.1') first.writeProcessing();
  };
  socket.once('end', () => {
    const timer = setInterval(testHalfOpen, HALF_OPEN_TEST_MS);
    socket.once('close', () => clearInterval(timer));
  });

  return {
    /** To be called with every response before anything is written to it. */
    begin(response: ServerResponse): void {
      if (closing) {
        // What a client has pipelined is all answered: only the last answer says that it is the last.
        for (const earlier of open) if (!earlier.headersSent) earlier.removeHeader('connection');
        response.setHeader('connection', 'close');
      }
      open.add(response);
      response.once('close', () => {
        open.delete(response);
        if (closing && open.size === 0) socket.destroySoon();
      });
    },

    /** Closes the connection as soon as it owes no answer. */
    close(): void {
      closing = true;
      const last = [...open].at(-1);
      if (!last) socket.destroy();
      else if (!last.headersSent) last.setHeader('connection', 'close');
    },

    /** Nothing was sent or received for long: closes the connection unless it waits for us. */
    idle(): void {
      const unread = socket.writableLength > 0;
      if (open.size === 0 || unread) socket.destroy();
    },

    /** To be called now and then: closes a connection whose client does not read. */
    check(): void {
      if (reading.hasStalled(socket.writableLength > 0, bytesTaken(socket))) socket.destroy();
    },

    /** Answers what could not be parsed, or did not arrive in time, and closes. May be called again. */
    refuse(fault?: NodeJS.ErrnoException): void {
      if (socket.writableEnded) return;
      const code = fault?.code ?? 'HPE_';
      const text = answers[code] ?? (code.startsWith('HPE_') ? badRequest : undefined);
      const [first] = open;
      if (text === undefined || first?.headersSent) {
        socket.destroy();
      } else {
        socket.end(text);
        destroySoon(socket);
      }
    },
  };
}

function answer(status: string, detail: string): string {
  const body = JSON.stringify({ detail });
  return [
    `HTTP/1.1 ${status}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    'X-Content-Type-Options: nosniff',
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}

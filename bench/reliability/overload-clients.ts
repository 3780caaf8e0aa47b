import { connect, type Socket } from 'node:net';
import type { HttpRequest } from '../load-job.ts';

// Clients that cost next to nothing, straight on sockets, so that a machine of two cores can offer a service far more than
// it can do. They know as much of HTTP as they need: each connection repeats one request.

/** How a call ended: well, by a refusal because of overload, in any other way, or not within its deadline. */
export type Outcome = 'answered' | 'refused' | 'failed' | 'late';

export interface CallClient {
  /** Sends the request, if the connection has room for one more call. */
  send(): boolean;
  close(): void;
}

export interface ClientOptions {
  readonly port: number;
  readonly request: HttpRequest;
  /** Calls that one connection may have in flight; the server's own limit counts too. HTTP/1.1 has one. */
  readonly maxInFlight: number;
  readonly deadlineMs: number;
  /** Words that an answer has when all is well; one without them counts as a refusal. */
  readonly mark?: string | undefined;
  /** Told of each call when it is over, with the time it took. */
  readonly onOutcome: (outcome: Outcome, durationMs: number) => void;
}

/** A kept-alive HTTP/1.1 connection with a call at a time. One whose call is late is opened anew, as clients do. */
export function openHttp1({ port, request, deadlineMs, mark, onOutcome }: ClientOptions): CallClient {
  const { method, path, headers, body } = request;
  const lines = Object.entries({ host: `127.0.0.1:${port}`, ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  if (body) lines.push(`content-length: ${body.length}`);
  const bytes = Buffer.concat([
    Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`, 'latin1'),
    body ?? Buffer.alloc(0),
  ]);
  let socket: Socket;
  let sentAt: number | undefined;
  let received = '';
  let closed = false;

  const end = (outcome: Outcome) => {
    if (sentAt === undefined) return;
    const durationMs = performance.now() - sentAt;
    sentAt = undefined;
    onOutcome(durationMs > deadlineMs ? 'late' : outcome, durationMs);
  };
  const reopen = () => {
    received = '';
    const opened = connect({ port, host: '127.0.0.1', noDelay: true });
    socket = opened;
    opened.setEncoding('latin1');
    opened.on('error', () => undefined);
    opened.on('data', (text: string) => {
      received += text;
      const headEnd = received.indexOf('\r\n\r\n');
      if (headEnd < 0) return;
      const head = received.slice(0, headEnd);
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (received.length < headEnd + 4 + length) return;
      const isWell = mark === undefined || received.includes(mark);
      received = '';
      const status = head.slice(9, 12);
      if (status === '503') end('refused');
      else if (status[0] === '2') end(isWell ? 'answered' : 'refused');
      else end('failed');
    });
    opened.on('close', () => {
      if (socket !== opened || closed) return;
      end('failed');
      reopen();
    });
  };
  reopen();
  const checking = setInterval(() => {
    if (sentAt === undefined || performance.now() - sentAt < deadlineMs) return;
    const late = socket;
    end('late');
    reopen();
    late.destroy();
  }, 20);
  return {
    send() {
      if (sentAt !== undefined) return false;
      sentAt = performance.now();
      socket.write(bytes);
      return true;
    },
    close() {
      closed = true;
      clearInterval(checking);
      socket.destroy();
    },
  };
}

const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, windowUpdate: 8 } as const;
const END_STREAM = 1;
const END_HEADERS = 4;
const ACK = 1;
const MAX_CONCURRENT_STREAMS = 3;
const CANCEL = 8;
const REFUSED_STREAM = 7;
const ENHANCE_YOUR_CALM = 11;
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/**
 * An HTTP/2 connection with gRPC calls, which keeps the server's limits. An answer that ends without a message counts as a
 * refusal, so see to it that the request is one that is answered well.
 */
export function openHttp2(options: ClientOptions): CallClient {
  const { port, request, deadlineMs, mark, onOutcome } = options;
  const { first, later } = encodeHeaders(request, port);
  const body = request.body ?? new Uint8Array(0);
  const frames = [first, later].map((block) => [
    frame(FRAME.headers, END_HEADERS, 0, block),
    frame(FRAME.data, END_STREAM, 0, body),
  ]);
  let socket: Socket;
  let calls = new Map<number, { sentAt: number; isWell: boolean }>();
  let nextStream = 1;
  let window = 65_535;
  let serverLimit = Number.POSITIVE_INFINITY;
  let rest: Buffer = Buffer.alloc(0);
  let isOpen = false;
  let closed = false;

  const end = (id: number, outcome: Outcome) => {
    const call = calls.get(id);
    if (!call) return;
    calls.delete(id);
    const durationMs = performance.now() - call.sentAt;
    onOutcome(durationMs > deadlineMs ? 'late' : outcome, durationMs);
  };
  const take = (type: number, flags: number, id: number, payload: Buffer) => {
    if (type === FRAME.data) {
      const call = calls.get(id);
      if (call && payload.length >= 5 && (mark === undefined || payload.includes(mark))) call.isWell = true;
      if (flags & END_STREAM) end(id, 'failed');
    } else if (type === FRAME.headers && flags & END_STREAM) {
      end(id, calls.get(id)?.isWell ? 'answered' : 'refused');
    } else if (type === FRAME.reset) {
      const code = payload.readUInt32BE(0);
      end(id, code === REFUSED_STREAM || code === ENHANCE_YOUR_CALM ? 'refused' : 'failed');
    } else if (type === FRAME.settings && !(flags & ACK)) {
      for (let at = 0; at + 6 <= payload.length; at += 6) {
        if (payload.readUInt16BE(at) === MAX_CONCURRENT_STREAMS) serverLimit = payload.readUInt32BE(at + 2);
      }
      isOpen = true;
      socket.write(frame(FRAME.settings, ACK, 0, Buffer.alloc(0)));
    } else if (type === FRAME.ping && !(flags & ACK)) {
      socket.write(frame(FRAME.ping, ACK, 0, payload));
    } else if (type === FRAME.windowUpdate && id === 0) {
      window += payload.readUInt32BE(0);
    }
  };
  const reopen = () => {
    for (const id of [...calls.keys()]) end(id, 'failed');
    calls = new Map();
    nextStream = 1;
    window = 65_535;
    rest = Buffer.alloc(0);
    isOpen = false;
    const opened = connect({ port, host: '127.0.0.1', noDelay: true });
    socket = opened;
    opened.on('error', () => undefined);
    opened.write(PREFACE);
    opened.write(frame(FRAME.settings, 0, 0, Buffer.alloc(0)));
    opened.write(frame(FRAME.windowUpdate, 0, 0, uint32(0x7fff_ffff - 65_535)));
    opened.on('data', (chunk: Buffer) => {
      rest = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
      let at = 0;
      while (rest.length - at >= 9) {
        const length = rest.readUIntBE(at, 3);
        if (rest.length - at < 9 + length) break;
        take(
          rest[at + 3] ?? 0,
          rest[at + 4] ?? 0,
          rest.readUInt32BE(at + 5),
          rest.subarray(at + 9, at + 9 + length),
        );
        at += 9 + length;
      }
      rest = rest.subarray(at);
    });
    opened.on('close', () => {
      if (socket === opened && !closed) reopen();
    });
  };
  reopen();
  // In the order of their sending: the first that is not late ends the search.
  const checking = setInterval(() => {
    const now = performance.now();
    for (const [id, { sentAt }] of calls) {
      if (now - sentAt < deadlineMs) return;
      end(id, 'late');
      socket.write(frame(FRAME.reset, 0, id, uint32(CANCEL)));
    }
  }, 20);
  return {
    send() {
      if (!isOpen || calls.size >= Math.min(options.maxInFlight, serverLimit) || window < body.length)
        return false;
      const [headers, data] = frames[nextStream === 1 ? 0 : 1] ?? [];
      if (!headers || !data) return false;
      headers.writeUInt32BE(nextStream, 5);
      data.writeUInt32BE(nextStream, 5);
      calls.set(nextStream, { sentAt: performance.now(), isWell: false });
      nextStream += 2;
      window -= body.length;
      socket.write(Buffer.concat([headers, data]));
      return true;
    },
    close() {
      closed = true;
      clearInterval(checking);
      socket.destroy();
    },
  };
}

function frame(type: number, flags: number, id: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(id, 5);
  bytes.set(payload, 9);
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** HPACK (RFC 7541): the first request puts every header into the connection's table, later ones name the entries. */
function encodeHeaders(
  { method, path, headers }: HttpRequest,
  port: number,
): { first: Buffer; later: Buffer } {
  const pseudo = { ':method': method, ':scheme': 'http', ':path': path, ':authority': `127.0.0.1:${port}` };
  const entries = Object.entries({ ...pseudo, ...headers });
  const text = (value: string) => {
    const bytes = Buffer.from(value, 'latin1');
    const { length } = bytes;
    if (length < 127) return Buffer.concat([Buffer.of(length), bytes]);
    const over = length - 127;
    const size = over < 128 ? [127, over] : [127, (over & 127) | 128, over >> 7];
    return Buffer.concat([Buffer.from(size), bytes]);
  };
  return {
    first: Buffer.concat(
      entries.map(([name, value]) => Buffer.concat([Buffer.of(0x40), text(name), text(value)])),
    ),
    later: Buffer.from(entries.map((_, index) => 0x80 | (62 + entries.length - 1 - index))),
  };
}

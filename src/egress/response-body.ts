import { pipeline, type Transform, Writable } from 'node:stream';
import { createGunzip, createInflate, createInflateRaw } from 'node:zlib';
import type { Budget } from '../shared-budget.ts';
import { EgressError } from './egress-error.ts';

/**
 * What `createDecoders` understands, as an `accept-encoding` header. Brotli is not among it: its decoder may fill 16 MiB
 * before the first byte comes out of it, for a few on the wire.
 */
export const ACCEPTED_ENCODINGS = 'gzip, deflate';

const MAX_ENCODINGS = 2;
const FIRST_BYTES = 4096;

/** Takes a body from the wire, in pieces. */
export interface ResponseBody {
  /**
   * False asks to wait for `onDrain` before the next piece.
   *
   * @throws EgressError when the body's encodings cannot be undone.
   */
  write(chunk: Buffer): boolean;
  /** The wire has no more. */
  end(): void;
  /** Nobody waits for the body any more: lets go of it. May be called again. */
  discard(): void;
}

export interface ResponseBodyOptions {
  contentEncoding: string;
  /** Of the decompressed body. */
  maxBytes: number;
  /** What the body takes its memory from until it has ended or is discarded. */
  memory: Budget;
  onDrain: () => void;
  /** Called once, unless discarded before. */
  onEnd: (error: EgressError | null, body: Buffer) => void;
}

/** Collects a body, decompressed, up to a limit; fails as soon as the limit is passed, however little was on the wire. */
export function createResponseBody(options: ResponseBodyOptions): ResponseBody {
  const encodings = options.contentEncoding
    .toLowerCase()
    .split(',')
    .map((encoding) => encoding.trim())
    .filter((encoding) => encoding !== '' && encoding !== 'identity');
  return encodings.length === 0 ? collectPlain(options) : collectDecoded(encodings, options);
}

function collectPlain({ maxBytes, memory, onEnd }: ResponseBodyOptions): ResponseBody {
  const collected = createBoundedBuffer(maxBytes, memory);
  return {
    write(chunk) {
      const error = collected.append(chunk);
      if (error) onEnd(error, Buffer.alloc(0));
      return true;
    },
    end: () => onEnd(null, collected.release()),
    discard: () => collected.release(),
  };
}

function collectDecoded(
  encodings: string[],
  { maxBytes, memory, onDrain, onEnd }: ResponseBodyOptions,
): ResponseBody {
  const collected = createBoundedBuffer(maxBytes, memory);
  // What does not compress grows a little; more than that on the wire is a stream made to yield nothing.
  const maxWireBytes = maxBytes + maxBytes / 64 + 1024;
  let wireBytes = 0;
  let head: Transform | undefined;

  function open(firstByte: number | undefined): Transform {
    const decoders = createDecoders(encodings, firstByte);
    const [first] = decoders;
    if (first === undefined) throw invalidEncoding('The upstream used an unknown content encoding');
    const sink = new Writable({
      write: (chunk: Buffer, _encoding, next) => next(collected.append(chunk)),
    });
    pipeline([...decoders, sink], (error) => {
      if (error) onEnd(asEgressError(error), Buffer.alloc(0));
      else onEnd(null, collected.release());
    });
    return first.on('drain', onDrain);
  }

  return {
    write(chunk) {
      head ??= open(chunk[0]);
      wireBytes += chunk.length;
      if (wireBytes > maxWireBytes) head.destroy(tooLarge());
      return head.write(chunk);
    },
    end() {
      // Without a single byte there is nothing to decode: an answer to HEAD, or a 204.
      if (head === undefined) onEnd(null, Buffer.alloc(0));
      else head.end();
    },
    discard() {
      head?.destroy();
      collected.release();
    },
  };
}

/** The decoders in the order of decoding: the encoding named last comes off first. */
function createDecoders(encodings: string[], firstByte: number | undefined): Transform[] {
  if (encodings.length > MAX_ENCODINGS) throw invalidEncoding('The upstream used too many content encodings');
  return encodings.toReversed().map((encoding, index) => {
    switch (encoding) {
      case 'gzip':
      case 'x-gzip':
        return createGunzip();
      case 'deflate':
        // The name means zlib's format, whose first byte ends in 8; some servers send the bare stream.
        return index > 0 || ((firstByte ?? 8) & 15) === 8 ? createInflate() : createInflateRaw();
      default:
        throw invalidEncoding('The upstream used an unknown content encoding');
    }
  });
}

/**
 * Bytes in one growing piece, so that a body in very many small chunks costs no more than its size. The piece is taken
 * from the memory as it grows: an upstream that never ends its body holds no more than was granted.
 */
function createBoundedBuffer(maxBytes: number, memory: Budget) {
  let bytes: Buffer | undefined;
  let length = 0;
  let held = 0;
  let isReleased = false;

  const hold = (size: number) => {
    if (!memory.take(size - held)) return false;
    held = size;
    return true;
  };

  return {
    /** @returns null where the chunk found room. */
    append(chunk: Buffer): EgressError | null {
      // What is still on its way when nobody waits any more is dropped.
      if (isReleased) return null;
      const needed = length + chunk.length;
      if (needed > maxBytes) return tooLarge();
      if (bytes === undefined) {
        // Most bodies are one chunk, which need not be copied; it keeps all that it is a part of.
        if (!hold(chunk.buffer.byteLength)) return exhausted();
        bytes = chunk;
      } else {
        if (needed > bytes.length) {
          const size = Math.min(maxBytes, Math.max(needed, 2 * length, FIRST_BYTES));
          if (!hold(size)) return exhausted();
          const grown = Buffer.allocUnsafe(size);
          bytes.copy(grown, 0, 0, length);
          bytes = grown;
        }
        chunk.copy(bytes, length);
      }
      length = needed;
      return null;
    },
    /** Gives the memory back. @returns what was collected, which is its taker's to account for. */
    release(): Buffer {
      const contents = bytes?.subarray(0, length) ?? Buffer.alloc(0);
      isReleased = true;
      bytes = undefined;
      memory.give(held);
      held = 0;
      return contents;
    },
  };
}

function tooLarge(): EgressError {
  return new EgressError('too_large', "The upstream's response is too large", { bytesSent: true });
}

function exhausted(): EgressError {
  const message = "There is no memory left just now for the upstream's response";
  return new EgressError('exhausted', message, { bytesSent: true });
}

function invalidEncoding(message: string): EgressError {
  return new EgressError('invalid_response', message, { bytesSent: true });
}

function asEgressError(cause: Error): EgressError {
  if (cause instanceof EgressError) return cause;
  const message = "The upstream's response could not be decompressed";
  return new EgressError('invalid_response', message, { bytesSent: true, cause });
}

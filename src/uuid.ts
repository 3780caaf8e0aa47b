import { randomUUID } from 'node:crypto';

const SPELLING = /^(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32})$/i;
const CANONICAL = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * The canonical spelling (RFC 9562, section 4: lower case, hyphens) of a UUID written in any case, with or without
 * hyphens, in braces or as `urn:uuid:`. Undefined for anything else, values that are no strings included.
 */
export function parseUuid(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  if (value.length === 36 && CANONICAL.test(value)) return value;
  const bare = /^urn:uuid:/i.test(value) ? value.slice(9) : value;
  const inner = bare.startsWith('{') && bare.endsWith('}') ? bare.slice(1, -1) : bare;
  return canonical(inner);
}

/** As `parseUuid`, for an id in a path, where neither braces nor `urn:uuid:` count. */
export function parsePathUuid(value: string): string | undefined {
  return canonical(value);
}

function canonical(value: string): string | undefined {
  if (!SPELLING.test(value)) return undefined;
  const hex = value.replaceAll('-', '').toLowerCase();
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The largest time that fits into a UUID, in milliseconds since 1970. */
const MAX_TIME = 2 ** 48 - 1;

/** Bits of the counter that tells ids of one millisecond apart, and those of them that follow the version's digit. */
const COUNTER_BITS = 26;
const LOW_BITS = 14;

let lastTime = -1;
let counter = 0;

/**
 * A new UUID of version 7 (RFC 9562, section 5.7), which sorts by its time: milliseconds since 1970. Of several in a row
 * for one millisecond each sorts after the one before: 26 bits behind the time are a counter that begins at random
 * (section 6.2, method 1), and 48 bits are random.
 */
export function uuidV7(time: number): string {
  const whole = wholeTime(time);
  const random = randomUUID();
  // The top bit is left for counting.
  counter =
    whole === lastTime ? counter + 1 : Number.parseInt(random.slice(0, 8), 16) >>> (33 - COUNTER_BITS);
  lastTime = whole;
  const high = (counter >>> LOW_BITS) & 0xfff;
  const low = (counter & (2 ** LOW_BITS - 1)) | 0x8000;
  return `${timePart(whole)}-7${high.toString(16).padStart(3, '0')}-${low.toString(16)}-${random.slice(24)}`;
}

/** What no UUID of version 7 for this time or a later one sorts before. */
export function lowestUuidV7(time: number): string {
  return `${timePart(wholeTime(time))}-7000-8000-000000000000`;
}

function wholeTime(time: number): number {
  return Math.trunc(Math.min(Math.max(time, 0), MAX_TIME));
}

function timePart(time: number): string {
  const hex = time.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}

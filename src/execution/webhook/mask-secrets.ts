import { SECRET_MASK } from '../../tools/tool.ts';
import { occurrences, probeOf } from './occurrences.ts';

/** Secrets shorter than this are not looked for: they would be found everywhere. */
const MIN_SECRET_LENGTH = 4;
/** Nor is a shorter part of base64, which by chance would be found in many a picture. */
const MIN_BASE64_LENGTH = 8;

/** Stands for all that is not within a string. No secret holds it, as no definition may. */
const OUTSIDE = 0;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const PERCENT = 0x25;
const LETTER_U = 0x75;

/** What follows a backslash in JSON (RFC 8259 section 7), and what both stand for. */
const SHORT_ESCAPES: ReadonlyMap<number, number> = new Map(
  Object.entries({ '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }).map(
    ([letter, character]) => [letter.charCodeAt(0), character.charCodeAt(0)],
  ),
);

/** What is escaped once more within a string. */
const INNER_ESCAPE = /\\[bfnrtu"\\/]|%[0-9a-f]{2}/i;

/** What may spell a character of a secret, unless the secret has one of the second kind. */
const TELLING_ESCAPE = /\\[u\\/]|%[0-9a-f]{2}/i;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is meant.
const RARE_IN_SECRET = /["\x08-\x0d]/;

/** The characters of a text read anew, and where in the JSON text each begins; where the last one ends, too. */
interface Reading {
  readonly units: Uint16Array;
  readonly starts: Uint32Array;
}

/**
 * Masks secrets in the strings of a JSON text, keys included, and leaves it valid JSON. Found are: the secret itself,
 * however JSON or percent-encoding spells its characters, once more in a string that holds such text itself; its UTF-8
 * read as Latin-1; and the base64 (or base64url) of it or of any text that holds it, such as a whole header, but for a
 * character at either end that it shares with what stands beside it. Takes time in proportion to the text for each secret.
 *
 * Not caught is a secret of under 4 characters, as a number, in pieces, in other cases or orders, hashed, in hex, in
 * base64 of under 8 characters or with line breaks, compressed, or encoded several times over: an upstream that wants to
 * tell what it was sent can. This is for one that gives it back without thinking.
 */
export function maskSecrets(json: string, secrets: readonly string[]): string {
  const spellings = [...new Set(secrets.flatMap(spellingsOf))];
  if (spellings.length === 0 || !mayHold(json, spellings)) return json;

  const hidden = new Uint8Array(json.length);
  const reading = unescaped(onlyStrings(json), false);
  const text = hide(reading, spellings, hidden);
  if (INNER_ESCAPE.test(text)) hide(unescaped(reading, true), spellings, hidden);
  return withMasks(json, hidden);
}

/** Whether it is worth a closer look: what may spell a secret otherwise than it is, or the beginning of one, is there. */
function mayHold(json: string, spellings: readonly string[]): boolean {
  return (
    TELLING_ESCAPE.test(json) ||
    spellings.some((spelling) => json.includes(probeOf(spelling)) || RARE_IN_SECRET.test(spelling))
  );
}

function spellingsOf(secret: string): string[] {
  if (secret.length < MIN_SECRET_LENGTH) return [];
  const bytes = Buffer.from(secret, 'utf8');
  return [secret, bytes.toString('latin1'), ...base64PartsOf(bytes)];
}

/**
 * The characters of base64 that depend on these bytes alone, for each of the three places in a group of three bytes where
 * they may begin.
 */
function base64PartsOf(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((before) => {
    const bits = (before + bytes.length) * 8;
    const whole = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    const part = whole.slice(Math.ceil((before * 8) / 6), Math.floor(bits / 6));
    return part.length < MIN_BASE64_LENGTH ? [] : [part, part.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

/** The same text, with all that is not within a string blanked out. */
function onlyStrings(json: string): Reading {
  const units = new Uint16Array(json.length);
  const starts = new Uint32Array(json.length + 1);
  let isInside = false;
  let isEscaped = false;
  for (let at = 0; at < json.length; at++) {
    const unit = json.charCodeAt(at);
    const isEnd = unit === QUOTE && !isEscaped;
    if (isEnd) isInside = !isInside;
    units[at] = isInside && !isEnd ? unit : OUTSIDE;
    starts[at] = at;
    isEscaped = unit === BACKSLASH && !isEscaped;
  }
  starts[json.length] = json.length;
  return { units, starts };
}

/** Each escape of JSON, and of percent-encoding where that is wanted, as the one character that it stands for. */
function unescaped({ units, starts }: Reading, withPercent: boolean): Reading {
  const plain = new Uint16Array(units.length);
  const plainStarts = new Uint32Array(units.length + 1);
  let count = 0;
  for (let at = 0; at < units.length; count++) {
    const unit = units[at] ?? 0;
    plainStarts[count] = starts[at] ?? 0;
    plain[count] = unit;
    at++;
    if (unit === BACKSLASH) {
      const next = units[at] ?? 0;
      const short = SHORT_ESCAPES.get(next);
      const code = short ?? (next === LETTER_U ? hexOf(units, at + 1, 4) : undefined);
      if (code === undefined) continue;
      plain[count] = code;
      at += short === undefined ? 5 : 1;
    } else if (unit === PERCENT && withPercent) {
      const code = hexOf(units, at, 2);
      if (code === undefined) continue;
      plain[count] = code;
      at += 2;
    }
  }
  plainStarts[count] = starts[units.length] ?? 0;
  return { units: plain.subarray(0, count), starts: plainStarts };
}

/** @returns undefined where so many hexadecimal digits do not stand. */
function hexOf(units: Uint16Array, from: number, digits: number): number | undefined {
  let number = 0;
  for (let at = from; at < from + digits; at++) {
    const unit = units[at] ?? 0;
    const lower = unit | 0x20;
    if (unit >= 0x30 && unit <= 0x39) number = number * 16 + unit - 0x30;
    else if (lower >= 0x61 && lower <= 0x66) number = number * 16 + lower - 0x57;
    else return undefined;
  }
  return number;
}

/** Marks what spells a secret. @returns the text that was read. */
function hide({ units, starts }: Reading, spellings: readonly string[], hidden: Uint8Array): string {
  const text = Buffer.from(units.buffer, units.byteOffset, units.byteLength).toString('utf16le');
  for (const spelling of spellings) {
    for (const [from, to] of occurrences(units, text, spelling)) hidden.fill(1, starts[from], starts[to]);
  }
  return text;
}

function withMasks(text: string, hidden: Uint8Array): string {
  let from = hidden.indexOf(1);
  if (from === -1) return text;
  const parts: string[] = [];
  let shown = 0;
  while (from !== -1) {
    parts.push(text.slice(shown, from));
    const to = hidden.indexOf(0, from);
    shown = to === -1 ? text.length : to;
    from = hidden.indexOf(1, shown);
  }
  return `${parts.join(SECRET_MASK)}${SECRET_MASK}${text.slice(shown)}`;
}

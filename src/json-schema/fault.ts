import { escapeToken } from './json-pointer.ts';
import { clip } from './words.ts';

/** Why an instance is not valid, in words that a language model can act on. */
export interface Fault {
  /** JSON pointer (RFC 6901) into the instance; '' is all of it. Keys of over 60 characters are cut. */
  readonly pointer: string;
  /** Such as `an integer`. */
  readonly expected: string;
  /** Such as `the string "seven"`. At most 60 characters of the instance are repeated. */
  readonly actual: string;
}

/** `/days: expected an integer, got the string "seven"` */
export function describeFault(fault: Fault): string {
  const place = fault.pointer === '' ? '(top level)' : fault.pointer;
  return `${place}: expected ${fault.expected}, got ${fault.actual}`;
}

export function pointerTo(path: readonly (string | number)[]): string {
  return path.map((token) => `/${escapeToken(clip(String(token)))}`).join('');
}

import { CallError } from '../call.ts';

/** What the parts of a request may come to. The URL counts before and after its values are encoded. */
const LIMITS = {
  url: { most: 16_384, words: 'a URL of more than 16384 characters' },
  headers: { most: 16_384, words: 'headers of more than 16384 bytes' },
  body: { most: 4_194_304, words: 'a body of more than 4194304 bytes' },
} as const;

type Part = keyof typeof LIMITS;

/** How much went into a part of a request so far, in the unit of its limit. */
export interface Counter {
  readonly part: Part;
  size: number;
}

/**
 * Adds to what a part comes to. To be called before anything is made of a value: a template may take one argument many
 * times, so that a small request makes a huge one.
 *
 * @throws CallError `invalid_arguments` above the limit.
 */
export function count(counter: Counter, added: number): void {
  counter.size += added;
  checkSize(counter.part, counter.size);
}

/** @throws CallError `invalid_arguments` for a part that is larger than its limit. */
export function checkSize(part: Part, size: number): void {
  const { most, words } = LIMITS[part];
  if (size <= most) return;
  const message = `Invalid arguments. They make ${words}. Shorten them and call again.`;
  throw new CallError('invalid_arguments', message, { mayHaveRun: false });
}

import { isUtf8 } from 'node:buffer';
import type { EgressResponse } from '../../egress/egress-client.ts';
import { getOwn, type JsonValue } from '../../json.ts';
import { SECRET_MASK } from '../../tools/tool.ts';
import { CallError } from '../call.ts';

/** Secrets shorter than this are not looked for in answers: they would be found everywhere. */
const MIN_MASKED_LENGTH = 4;

/**
 * The output that a 2xx answer stands for, as JSON text: JSON as it came, digit for digit; other text as a string; `null`
 * for nothing.
 *
 * @param options.pointer the part of a JSON answer that is wanted (RFC 6901).
 * @param options.secrets what was sent as a credential: an upstream that gives it back must not show it to a caller.
 * @throws CallError `invalid_response`
 */
export function readOutput(
  response: EgressResponse,
  { pointer, secrets }: { pointer: string | undefined; secrets: readonly string[] },
): string {
  const { status, body } = response;
  const isWhole = pointer === undefined || pointer === '';
  if (status === 204 || body.length === 0) return isWhole ? 'null' : pointed(null, pointer);
  if (!isUtf8(body)) {
    throw new CallError('invalid_response', 'The upstream answered with bytes that are not UTF-8 text.');
  }
  const text = maskSecrets(body.toString('utf8').replace(/^\uFEFF/, ''), secrets);
  const value = parsed(text);
  if (value !== undefined) return isWhole ? text : pointed(value, pointer);
  if (isJsonType(response)) {
    throw new CallError('invalid_response', 'The upstream answered with a body that is not valid JSON.');
  }
  return isWhole ? JSON.stringify(text) : pointed(text, pointer);
}

/** The part of a value that the pointer leads to, as JSON text. @throws CallError where it leads to nothing. */
function pointed(whole: JsonValue, pointer: string): string {
  let value: JsonValue | undefined = whole;
  for (const token of pointer.slice(1).split('/')) {
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~');
    if (Array.isArray(value)) value = /^(?:0|[1-9]\d*)$/.test(key) ? value[Number(key)] : undefined;
    else value = typeof value === 'object' && value !== null ? getOwn(value, key) : undefined;
  }
  if (value !== undefined) return JSON.stringify(value);
  throw new CallError('invalid_response', `The upstream's answer has nothing at ${pointer}.`);
}

function maskSecrets(text: string, secrets: readonly string[]): string {
  let masked = text;
  for (const secret of secrets) {
    if (secret.length < MIN_MASKED_LENGTH) continue;
    masked = masked.replace(spellingsOf(secret), SECRET_MASK);
  }
  return masked;
}

/** A secret in every way that JSON text may spell it: each character as it is, after a backslash, or as \uXXXX. */
function spellingsOf(secret: string): RegExp {
  const spellings = secret.split('').map((character) => {
    const code = character.charCodeAt(0).toString(16).padStart(4, '0');
    const hex = code.replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`);
    return `(?:\\\\?${character.replace(/[^A-Za-z0-9]/, '\\$&')}|\\\\u${hex})`;
  });
  return new RegExp(spellings.join(''), 'g');
}

function parsed(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}

function isJsonType({ headers }: EgressResponse): boolean {
  const type = Object.hasOwn(headers, 'content-type') ? String(headers['content-type']) : '';
  return /^application\/(?:[\w.-]+\+)?json\b/i.test(type);
}

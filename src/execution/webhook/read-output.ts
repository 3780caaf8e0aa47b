import { isUtf8 } from 'node:buffer';
import type { EgressResponse } from '../../egress/egress-client.ts';
import { getOwn, type JsonValue } from '../../json.ts';
import { CallError } from '../call.ts';
import { maskSecrets } from './mask-secrets.ts';

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
  return maskSecrets(wantedOf(response, pointer), secrets);
}

function wantedOf(response: EgressResponse, pointer = ''): string {
  const { status, body } = response;
  if (status === 204 || body.length === 0) return pointed(null, pointer);
  if (!isUtf8(body)) {
    throw new CallError('invalid_response', 'The upstream answered with bytes that are not UTF-8 text.');
  }
  const text = body.toString('utf8').replace(/^\uFEFF/, '');
  const value = parsed(text);
  if (value !== undefined) return pointer === '' ? text : pointed(value, pointer);
  if (isJsonType(response)) {
    throw new CallError('invalid_response', 'The upstream answered with a body that is not valid JSON.');
  }
  return pointed(text, pointer);
}

/** The part of a value that the pointer leads to, as JSON text. @throws CallError where it leads to nothing. */
function pointed(whole: JsonValue, pointer: string): string {
  let value: JsonValue | undefined = whole;
  for (const token of pointer.split('/').slice(1)) {
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~');
    if (Array.isArray(value)) value = /^(?:0|[1-9]\d*)$/.test(key) ? value[Number(key)] : undefined;
    else value = typeof value === 'object' && value !== null ? getOwn(value, key) : undefined;
  }
  if (value !== undefined) return written(value);
  throw new CallError('invalid_response', `The upstream's answer has nothing at ${pointer}.`);
}

function written(value: JsonValue): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    // It goes down by calling itself, unlike the parser, until there is no more room on the stack.
    if (!(error instanceof RangeError)) throw error;
    throw new CallError(
      'invalid_response',
      "The upstream's answer is too deeply nested to take a part of it.",
    );
  }
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

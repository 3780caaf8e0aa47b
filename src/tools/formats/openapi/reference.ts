import { clip } from '../../../clip.ts';
import { getOwn, isJsonObject, type JsonObject, type JsonValue } from '../../../json.ts';
import { pointerTokens } from '../../../json-schema/json-pointer.ts';
import { DocumentError } from './document-error.ts';

/** References that may lead to one another. */
const MAX_HOPS = 10;

/** What a reference inside the document leads to. @throws DocumentError for one that leads outside, or nowhere. */
export function follow(document: JsonObject, reference: string): JsonValue {
  if (!/^#(?:\/|$)/.test(reference)) {
    throw new DocumentError(`It refers to "${clip(reference)}"; only "#/…" inside the document is followed.`);
  }
  let value: JsonValue | undefined = document;
  for (const token of pointerTokens(decode(reference.slice(1)))) {
    if (Array.isArray(value)) value = /^\d{1,6}$/.test(token) ? value[Number(token)] : undefined;
    else value = isJsonObject(value) ? getOwn(value, token) : undefined;
  }
  if (value === undefined) throw new DocumentError(`"${clip(reference)}" is not in the document.`);
  return value;
}

/**
 * The object that stands here, or that a reference here leads to.
 *
 * @param what names it in the refusal.
 * @throws DocumentError when there is none.
 */
export function objectAt(document: JsonObject, value: JsonValue | undefined, what: string): JsonObject {
  let target = value;
  for (let hop = 0; hop <= MAX_HOPS; hop++) {
    if (!isJsonObject(target)) throw new DocumentError(`${what} is not an object.`);
    const reference = getOwn(target, '$ref');
    if (typeof reference !== 'string') return target;
    target = follow(document, reference);
  }
  throw new DocumentError(`${what} is a reference that leads to itself.`);
}

function decode(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}

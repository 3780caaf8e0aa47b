import { clip } from '../../clip.ts';
import { percentEncode } from '../../egress/credentials/authorized-request.ts';
import { getOwn, type JsonObject, type JsonValue } from '../../json.ts';
import { escapeToken } from '../../json-schema/json-pointer.ts';
import { CallError } from '../call.ts';

/** A value cannot go where the tool's definition puts it. @param words what it must be, to follow its name. */
export function unplaceable(name: string, words: string): CallError {
  const message = `Invalid arguments. /${escapeToken(clip(name))}: ${words}. Correct them and call again.`;
  return new CallError('invalid_arguments', message, { mayHaveRun: false });
}

/** The value of a placeholder within a text; undefined where there is none to put there. */
export function givenValue(values: JsonObject, name: string): Exclude<JsonValue, null> | undefined {
  return getOwn(values, name) ?? undefined;
}

/** A string as it is, any other value as JSON text. */
export function textOf(value: JsonValue): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The texts of a value where a name may come more than once: one for each member of a list. Null is none. */
export function textsOf(value: JsonValue): string[] {
  const members = Array.isArray(value) ? value : [value];
  return members.filter((member) => member !== null).map(textOf);
}

/** Text as a part of a URL, with none but unreserved characters (RFC 3986, section 2.3) as they are. */
export function encodeText(name: string, text: string): string {
  return percentEncode(wellFormed(name, text));
}

/** The text itself. @throws CallError for half a character, which UTF-8 cannot carry. */
export function wellFormed(name: string, text: string): string {
  if (text.isWellFormed()) return text;
  throw unplaceable(name, 'must not have lone surrogates');
}

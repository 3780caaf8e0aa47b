import { clip } from '../../clip.ts';
import { percentEncode } from '../../egress/credentials/authorized-request.ts';
import { getOwn, type JsonObject, type JsonValue } from '../../json.ts';
import { escapeToken } from '../../json-schema/json-pointer.ts';
import { fillTemplate, type Template } from '../../tools/template.ts';
import { CallError } from '../call.ts';

/** A value that can be put into a text. */
export type Given = Exclude<JsonValue, null>;

/** A value cannot go where the tool's definition puts it. @param words what it must be, to follow its name. */
export function unplaceable(name: string, words: string): CallError {
  const message = `Invalid arguments. /${escapeToken(clip(name))}: ${words}. Correct them and call again.`;
  return new CallError('invalid_arguments', message, { mayHaveRun: false });
}

/** The value of a placeholder within a text; undefined where there is none to put there. */
export function givenValue(values: JsonObject, name: string): Given | undefined {
  return getOwn(values, name) ?? undefined;
}

/**
 * The text with its placeholders filled; undefined when one of them has no value. Nothing is made of the others then, nor
 * counted.
 */
export function fillGiven(
  template: Template,
  values: JsonObject,
  textOf: (name: string, value: Given) => string,
): string | undefined {
  for (const part of template) {
    if (typeof part !== 'string' && givenValue(values, part.name) === undefined) return undefined;
  }
  return fillTemplate(template, (name) => {
    const value = givenValue(values, name);
    return value === undefined ? undefined : textOf(name, value);
  });
}

/** Makes something of a list or an object, once in a call however often templates take it. */
export function onceForName<T>(make: (name: string) => T): (name: string) => T {
  let made: Map<string, T> | undefined;
  return (name) => {
    const known = made?.get(name);
    if (known !== undefined) return known;
    const value = make(name);
    made ??= new Map();
    made.set(name, value);
    return value;
  };
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

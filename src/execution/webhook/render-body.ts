import { getOwn, isJsonObject, type JsonObject, type JsonValue } from '../../json.ts';
import { parseTemplate, placeholdersOf } from '../../tools/template.ts';
import { type Counter, checkSize, count } from './render-limits.ts';
import { fillGiven, onceForName, textOf, textsOf, wellFormed } from './render-value.ts';

/** The values of one call on their way into its body. */
interface Filling {
  readonly values: JsonObject;
  readonly counter: Counter;
  /** Bytes of the JSON text of a value. */
  readonly sizeOf: (name: string) => number;
  /** A value that goes into a text, and the bytes that it takes there. */
  readonly pieceOf: (name: string) => { readonly text: string; readonly size: number };
}

/** What a part of a body is for the values of a call; undefined where what it takes was not given. */
type Render = (filling: Filling) => JsonValue | undefined;

/** The body of a definition, ready for the values of a call. */
export interface BodyTemplate {
  readonly placeholders: ReadonlySet<string>;
  /** The keys at its top, which stay its own when their values are not given. Undefined for no object. */
  readonly keys: readonly string[] | undefined;
  /**
   * The body, not to be changed; undefined where what it takes was not given.
   *
   * @throws CallError `invalid_arguments` when it gets too large.
   */
  render(values: JsonObject): JsonValue | undefined;
}

/** Prepares the strings in a body as templates, however deep. One that is a placeholder alone takes the value itself. */
export function prepareBody(body: JsonValue, names: ReadonlySet<string>): BodyTemplate {
  const placeholders = new Set<string>();
  // What is taken once is not measured: it makes a body no larger than the arguments are.
  const repeated = new Set<string>();
  const keys = isJsonObject(body) ? Object.keys(body) : undefined;
  const renderPart = prepare(body);
  const constant = placeholders.size === 0 ? renderPart(startFilling({})) : undefined;
  return {
    placeholders,
    keys,
    render: (values) => (placeholders.size === 0 ? constant : renderPart(startFilling(values))),
  };

  function prepare(part: JsonValue): Render {
    if (typeof part === 'string') return prepareText(part);
    if (Array.isArray(part)) {
      const members = part.map(prepare);
      return (filling) => members.flatMap((member) => asList(member(filling)));
    }
    if (!isJsonObject(part)) return () => part;
    const entries = Object.entries(part).map(([key, value]) => [key, prepare(value)] as const);
    return (filling) =>
      Object.fromEntries(entries.flatMap(([key, value]) => asList(value(filling)).map((one) => [key, one])));
  }

  function prepareText(text: string): Render {
    const template = parseTemplate(text, names);
    for (const name of placeholdersOf(template)) (placeholders.has(name) ? repeated : placeholders).add(name);
    const [first, second] = template;
    if (typeof first === 'object' && second === undefined) {
      return ({ values, counter, sizeOf }) => {
        const value = getOwn(values, first.name);
        if (value !== undefined && repeated.has(first.name)) count(counter, sizeOf(first.name));
        return value;
      };
    }
    return ({ values, counter, pieceOf }) =>
      fillGiven(template, values, (name, value) => {
        if (!repeated.has(name)) return textOf(value);
        const piece = pieceOf(name);
        count(counter, piece.size);
        return piece.text;
      });
  }
}

function startFilling(values: JsonObject): Filling {
  return {
    values,
    counter: { part: 'body', size: 0 },
    sizeOf: onceForName((name) => jsonSize(getOwn(values, name) ?? null)),
    pieceOf: onceForName((name) => {
      const text = textOf(getOwn(values, name) ?? null);
      return { text, size: jsonSize(text) - 2 };
    }),
  };
}

function jsonSize(value: JsonValue): number {
  return Buffer.byteLength(JSON.stringify(value));
}

/** As JSON text. @throws CallError `invalid_arguments` when it is too large. */
export function toJson(body: JsonValue): string {
  const text = JSON.stringify(body);
  checkSize('body', Buffer.byteLength(text));
  return text;
}

/**
 * An object as a form (WHATWG URL, section 5): lists repeat their key, objects are JSON text, null is left out.
 *
 * @throws CallError `invalid_arguments` when it is too large.
 */
export function toForm(body: JsonObject): string {
  const counter: Counter = { part: 'body', size: 0 };
  const pairs = Object.entries(body).flatMap(([key, value]) =>
    textsOf(value).map((text): [string, string] => {
      // A list repeats its key, which may be long. Encoding makes no more than three bytes of one.
      count(counter, Buffer.byteLength(key) + Buffer.byteLength(text) + 2);
      return [wellFormed(key, key), wellFormed(key, text)];
    }),
  );
  const form = new URLSearchParams(pairs).toString();
  checkSize('body', form.length);
  return form;
}

/** As a list, so that what is not there is no member of another. */
function asList(value: JsonValue | undefined): JsonValue[] {
  return value === undefined ? [] : [value];
}

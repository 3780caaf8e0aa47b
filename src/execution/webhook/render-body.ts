import { getOwn, isJsonObject, type JsonObject, type JsonValue } from '../../json.ts';
import { fillTemplate, parseTemplate, placeholdersOf } from '../../tools/template.ts';
import { givenValue, textOf, textsOf, wellFormed } from './render-value.ts';

/** What a part of a body is for the values of a call; undefined where what it takes was not given. */
type Render = (values: JsonObject) => JsonValue | undefined;

/** The body of a definition, ready for the values of a call. */
export interface BodyTemplate {
  readonly placeholders: ReadonlySet<string>;
  /** The keys at its top, which stay its own when their values are not given. */
  readonly keys: ReadonlySet<string>;
  readonly render: Render;
}

/** Prepares the strings in a body as templates, however deep. One that is a placeholder alone takes the value itself. */
export function prepareBody(body: JsonValue, names: ReadonlySet<string>): BodyTemplate {
  const placeholders = new Set<string>();
  const keys = new Set(isJsonObject(body) ? Object.keys(body) : []);
  return { placeholders, keys, render: prepare(body) };

  function prepare(part: JsonValue): Render {
    if (typeof part === 'string') return prepareText(part);
    if (Array.isArray(part)) {
      const members = part.map(prepare);
      return (values) => members.flatMap((member) => asList(member(values)));
    }
    if (!isJsonObject(part)) return () => part;
    const entries = Object.entries(part).map(([key, value]) => [key, prepare(value)] as const);
    return (values) =>
      Object.fromEntries(entries.flatMap(([key, value]) => asList(value(values)).map((one) => [key, one])));
  }

  function prepareText(text: string): Render {
    const template = parseTemplate(text, names);
    for (const name of placeholdersOf(template)) placeholders.add(name);
    const [first, second] = template;
    if (typeof first === 'object' && second === undefined) return (values) => getOwn(values, first.name);
    return (values) =>
      fillTemplate(template, (name) => {
        const value = givenValue(values, name);
        return value === undefined ? undefined : textOf(value);
      });
  }
}

/** An object as a form (WHATWG URL, section 5): lists repeat their key, objects are JSON text, null is left out. */
export function toForm(body: JsonObject): string {
  const pairs = Object.entries(body).flatMap(([key, value]) =>
    textsOf(value).map((text): [string, string] => [wellFormed(key, key), wellFormed(key, text)]),
  );
  return new URLSearchParams(pairs).toString();
}

/** As a list, so that what is not there is no member of another. */
function asList(value: JsonValue | undefined): JsonValue[] {
  return value === undefined ? [] : [value];
}

import { randomUUID } from 'node:crypto';
import type { JsonObject } from '../../json.ts';
import { fillTemplate, parseUrlTemplate, placeholdersOf, type Template } from '../../tools/template.ts';
import { CallError } from '../call.ts';
import { type Counter, count } from './render-limits.ts';
import { encodeText, fillGiven, type Given, givenValue, unplaceable } from './render-value.ts';

const NO_URL = { href: '', origin: '', pathname: '', search: '' };

/** The URL of a definition, ready for the values of a call. */
export interface UrlTemplate {
  /** The names of its placeholders. */
  readonly placeholders: readonly string[];
  /** The names of parameters in its query, as far as they are literal. */
  readonly queryNames: readonly string[];
  /**
   * The URL up to its path, and the pairs of its query without those whose values were not given.
   *
   * @throws CallError `invalid_arguments`
   */
  render(values: JsonObject, counter: Counter): { base: string; pairs: string[] };
}

/**
 * Prepares a URL as a URL parser reads it, so that values are put between parts that stand. Its fragment is left out, as
 * it would not be sent.
 *
 * @throws CallError `internal` for a placeholder before the path, which no definition is accepted with.
 */
export function prepareUrl(url: string, names: ReadonlySet<string>): UrlTemplate {
  const template = parseUrlTemplate(url, names);
  const placeholders = [...new Set(placeholdersOf(template))];
  // Stands for the values while the parser reads the literal parts; nobody else can know it.
  const mark = randomUUID();
  const marked = fillTemplate(template, (name) => `${mark}-${placeholders.indexOf(name)}-`) ?? '';
  const { href, origin, pathname, search } = URL.canParse(marked) ? new URL(marked) : NO_URL;
  if (!href.split(mark, 1)[0]?.startsWith(`${origin}/`)) {
    throw new CallError('internal', "The tool's URL has a parameter before its path.", { mayHaveRun: false });
  }
  const unmark = (text: string): Template =>
    text
      .split(new RegExp(`${mark}-(\\d+)-`))
      .map((part, index) => (index % 2 === 0 ? part : { name: placeholders[Number(part)] ?? '' }));

  const base = unmark(origin + pathname);
  const pairs = search === '' ? [] : search.slice(1).split('&');
  const pairTemplates = pairs.map(unmark);
  return {
    placeholders,
    queryNames: pairs
      .flatMap((pair) => [...new URLSearchParams(pair).keys()])
      .filter((name) => !name.includes(mark)),
    render: (values, counter) => ({
      base: renderBase(base, values, counter),
      pairs: pairTemplates.flatMap(
        (pair) => fillGiven(pair, values, (name, value) => encoded(name, value, counter)) ?? [],
      ),
    }),
  };
}

function renderBase(template: Template, values: JsonObject, counter: Counter): string {
  const names = placeholdersOf(template);
  const base = fillGiven(template, values, (name, value) => {
    const text = encoded(name, value, counter);
    if (text === '') throw unplaceable(name, 'must not be empty, as it is a part of the path of the URL');
    return text;
  });
  if (base === undefined) {
    const missing = names.find((name) => givenValue(values, name) === undefined) ?? '';
    throw unplaceable(missing, 'is needed for the URL');
  }
  // Its encoded values have no slash, so that nothing but dots, as a whole segment, could lead a parser elsewhere.
  if (new URL(base).href === base) return base;
  const name = names.find((one) => /^\.+$/.test(String(givenValue(values, one)))) ?? names[0] ?? '';
  throw unplaceable(name, 'must not make a segment of dots in the path of the URL');
}

function encoded(name: string, value: Given, counter: Counter): string {
  if (typeof value === 'object') {
    throw unplaceable(name, 'must be a string, a number, true or false, as it is a part of the URL');
  }
  const text = String(value);
  count(counter, text.length);
  return encodeText(name, text);
}

import type { JsonObject, JsonValue } from '../../json.ts';
import type { WebhookExecution } from '../../tools/definition.ts';
import { parseTemplate, placeholdersOf } from '../../tools/template.ts';
import { type Counter, count } from './render-limits.ts';
import {
  encodeText,
  fillGiven,
  givenValue,
  onceForName,
  textOf,
  textsOf,
  wellFormed,
} from './render-value.ts';

/** The query of a definition, ready for the values of a call. */
export interface QueryTemplate {
  readonly names: readonly string[];
  readonly placeholders: readonly string[];
  /** Pairs of a query. @throws CallError `invalid_arguments` */
  render(values: JsonObject, counter: Counter): string[];
}

/** Prepares the values of a query as templates. One that is a placeholder alone repeats its name for a list. */
export function prepareQuery(
  query: NonNullable<WebhookExecution['query']>,
  names: ReadonlySet<string>,
): QueryTemplate {
  const entries = Object.entries(query).flatMap(([name, value]) =>
    [value].flat().map((text) => ({ name, template: parseTemplate(String(text), names) })),
  );
  return {
    names: Object.keys(query),
    placeholders: entries.flatMap(({ template }) => placeholdersOf(template)),
    render(values, counter) {
      if (entries.length === 0) return [];
      const json = onceForName((name) => textOf(givenValue(values, name) ?? null));
      const texts = onceForName((name) => textsOf(givenValue(values, name) ?? null));
      return entries.flatMap(({ name, template }) => {
        const [first, second] = template;
        if (typeof first === 'object' && second === undefined) {
          return toPairs(name, texts(first.name), counter, first.name);
        }
        // Against the room that is left; `toPairs` counts the text as a whole.
        const room = { ...counter };
        const filled = fillGiven(template, values, (parameter, value) => {
          const text = typeof value === 'object' ? json(parameter) : String(value);
          count(room, text.length);
          return wellFormed(parameter, text);
        });
        return filled === undefined ? [] : toPairs(name, [filled], counter);
      });
    },
  };
}

/** The pairs of arguments that no template places. */
export function renderFree(free: readonly (readonly [string, JsonValue])[], counter: Counter): string[] {
  return free.flatMap(([name, value]) => toPairs(name, textsOf(value), counter));
}

/** Pairs of a query, one for each text. @param source the parameter whose value the texts are. */
function toPairs(name: string, texts: readonly string[], counter: Counter, source = name): string[] {
  return texts.map((text) => {
    // With `=`, and `?` or `&` before it.
    count(counter, name.length + text.length + 2);
    return `${encodeText(source, name)}=${encodeText(source, text)}`;
  });
}

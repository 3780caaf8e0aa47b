import { checkHeader } from '../../egress/check-request.ts';
import type { JsonObject } from '../../json.ts';
import type { WebhookExecution } from '../../tools/definition.ts';
import { fillTemplate, parseTemplate, placeholdersOf } from '../../tools/template.ts';
import { type Counter, count } from './render-limits.ts';
import { fillGiven, type Given, givenValue, onceForName, unplaceable } from './render-value.ts';

const UNFIT = 'must not have line breaks, control characters or characters beyond Latin-1';

/** The headers of a definition, ready for the values of a call. */
export interface HeadersTemplate {
  readonly placeholders: readonly string[];
  /** Headers by their names in lower case. @throws CallError `invalid_arguments` */
  render(values: JsonObject): Record<string, string>;
}

/** Prepares the values of headers as templates. One over a value that was not given is left out. */
export function prepareHeaders(
  headers: NonNullable<WebhookExecution['headers']>,
  names: ReadonlySet<string>,
): HeadersTemplate {
  const entries = Object.entries(headers).map(([name, value]) => {
    const template = parseTemplate(value, names);
    const literal = fillTemplate(template, () => '') ?? '';
    // As it is sent: with a colon, a space and the end of the line.
    return { name: name.toLowerCase(), template, ownSize: name.length + literal.length + 4 };
  });
  return {
    placeholders: entries.flatMap(({ template }) => placeholdersOf(template)),
    render(values) {
      if (entries.length === 0) return {};
      const counter: Counter = { part: 'headers', size: 0 };
      const listed = onceForName((name) => listText(name, givenValue(values, name) ?? []));
      return Object.fromEntries(
        entries.flatMap(({ name, template, ownSize }) => {
          const value = fillGiven(template, values, (parameter, given) => {
            const text = typeof given === 'object' ? listed(parameter) : String(given);
            count(counter, text.length);
            if (checkHeader('x', text) === undefined) return text;
            throw unplaceable(parameter, UNFIT);
          });
          if (value === undefined) return [];
          count(counter, ownSize);
          return [[name, value]];
        }),
      );
    },
  };
}

function listText(name: string, value: Given): string {
  const members = [value].flat();
  if (members.every((member) => typeof member !== 'object')) return members.map(String).join(', ');
  throw unplaceable(name, 'must be a string, a number, true, false or a list of these, as a header takes it');
}

import { checkHeader } from '../../egress/check-request.ts';
import { isJsonObject, type JsonObject } from '../../json.ts';
import type { WebhookExecution } from '../../tools/definition.ts';
import { fillTemplate, parseTemplate, placeholdersOf } from '../../tools/template.ts';
import { CallError } from '../call.ts';
import { prepareBody, toForm } from './render-body.ts';
import { prepareUrl } from './render-url.ts';
import { encodeText, givenValue, textOf, textsOf, unplaceable, wellFormed } from './render-value.ts';

/** A request without its credential. The names of headers are in lower case. */
export interface HttpCall {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

const MAX_URL_LENGTH = 16_384;

/** Methods whose arguments go into the query, unless the definition has a body. */
const BODILESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE']);

const ACCEPT = 'application/json, text/*;q=0.9, */*;q=0.1';

/**
 * Parses the templates once; the result makes a request of the values of a call: its checked arguments and those of its
 * hidden parameters. What no template places goes into the body where that is an object, else into the query; a key that
 * the definition has there stays the definition's.
 *
 * The result throws CallError `invalid_arguments` that names the value which cannot be placed.
 *
 * @param names of the parameters, hidden ones included: what placeholders there are.
 * @throws CallError `internal` for a URL that no definition is accepted with.
 */
export function prepareRequest(
  execution: WebhookExecution,
  names: ReadonlySet<string>,
): (values: JsonObject) => HttpCall {
  const { method = 'POST', body: content = BODILESS.has(method) ? undefined : {} } = execution;
  const url = prepareUrl(execution.url, names);
  const query = prepareQuery(execution.query ?? {}, names);
  const headers = prepareHeaders(execution.headers ?? {}, names);
  const body = content === undefined ? undefined : prepareBody(content, names);
  const placed = new Set([url, query, headers, body].flatMap((part) => (part ? [...part.placeholders] : [])));
  const queryNames = new Set([...url.queryNames, ...query.names]);

  return (values) => {
    const unplaced = Object.entries(values).filter(([name]) => !placed.has(name));
    const { base, pairs } = url.render(values);
    const added = query.render(values);
    const sent: Record<string, string> = { accept: ACCEPT, 'user-agent': 'tool-service' };
    const written = headers.render(values);
    const value = body?.render(values);
    let text: string | undefined;
    if (body && isJsonObject(value)) {
      const free = unplaced.filter(([name]) => !body.keys.has(name) && !Object.hasOwn(value, name));
      const whole = { ...value, ...Object.fromEntries(free) };
      text = isForm(written) ? toForm(whole) : JSON.stringify(whole);
    } else {
      const free = unplaced.filter(([name]) => !queryNames.has(name));
      added.push(...free.flatMap(([name, one]) => toPairs(name, textsOf(one))));
      text = JSON.stringify(value);
    }
    if (text !== undefined) sent['content-type'] = 'application/json';
    return {
      url: withPairs(base, [pairs.join('&'), ...added]),
      method,
      headers: { ...sent, ...written },
      body: text,
    };
  };
}

function isForm(headers: Readonly<Record<string, string>>): boolean {
  return /^\s*application\/x-www-form-urlencoded\s*(?:;|$)/i.test(headers['content-type'] ?? '');
}

function withPairs(base: string, pairs: readonly string[]): string {
  const query = pairs.filter((pair) => pair !== '').join('&');
  const url = query === '' ? base : `${base}?${query}`;
  if (url.length <= MAX_URL_LENGTH) return url;
  throw new CallError(
    'invalid_arguments',
    `Invalid arguments. They make a URL of more than ${MAX_URL_LENGTH} characters. Shorten them and call again.`,
    { mayHaveRun: false },
  );
}

/** Pairs of a query, one for each text. @param source the parameter whose value the texts are. */
function toPairs(name: string, texts: readonly string[], source = name): string[] {
  return texts.map((text) => `${encodeText(source, name)}=${encodeText(source, text)}`);
}

function prepareQuery(query: NonNullable<WebhookExecution['query']>, names: ReadonlySet<string>) {
  const entries = Object.entries(query).flatMap(([name, value]) =>
    [value].flat().map((text) => ({ name, template: parseTemplate(String(text), names) })),
  );
  return {
    names: Object.keys(query),
    placeholders: entries.flatMap(({ template }) => placeholdersOf(template)),
    render: (values: JsonObject): string[] =>
      entries.flatMap(({ name, template }) => {
        const [first, second] = template;
        if (typeof first === 'object' && second === undefined) {
          const value = givenValue(values, first.name);
          return value === undefined ? [] : toPairs(name, textsOf(value), first.name);
        }
        const text = fillTemplate(template, (parameter) => {
          const value = givenValue(values, parameter);
          return value === undefined ? undefined : wellFormed(parameter, textOf(value));
        });
        return text === undefined ? [] : toPairs(name, [text]);
      }),
  };
}

function prepareHeaders(headers: NonNullable<WebhookExecution['headers']>, names: ReadonlySet<string>) {
  const entries = Object.entries(headers).map(
    ([name, value]) => [name.toLowerCase(), parseTemplate(value, names)] as const,
  );
  return {
    placeholders: entries.flatMap(([, template]) => placeholdersOf(template)),
    render: (values: JsonObject): Record<string, string> =>
      Object.fromEntries(
        entries.flatMap(([name, template]) => {
          const value = fillTemplate(template, (parameter) => headerText(values, parameter));
          return value === undefined ? [] : [[name, value]];
        }),
      ),
  };
}

function headerText(values: JsonObject, name: string): string | undefined {
  const value = givenValue(values, name);
  if (value === undefined) return undefined;
  const members = [value].flat();
  if (members.some((member) => typeof member === 'object')) {
    throw unplaceable(
      name,
      'must be a string, a number, true, false or a list of these, as a header takes it',
    );
  }
  const text = members.map(String).join(', ');
  if (checkHeader('x', text) === undefined) return text;
  throw unplaceable(name, 'must not have line breaks, control characters or characters beyond Latin-1');
}

import { foldNames, isOneOf, isOneOfQuery } from '../../fold-names.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../json.ts';
import type { WebhookExecution } from '../../tools/definition.ts';
import { prepareBody, toForm, toJson } from './render-body.ts';
import { prepareHeaders } from './render-headers.ts';
import { type Counter, checkSize } from './render-limits.ts';
import { prepareQuery, renderFree } from './render-query.ts';
import { prepareUrl } from './render-url.ts';

/** A request without its credential. The names of headers are in lower case. */
export interface HttpCall {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** Methods whose arguments go into the query, unless the definition has a body. */
const BODILESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE']);

const ACCEPT = 'application/json, text/*;q=0.9, */*;q=0.1';

/**
 * Parses the templates once; the result makes a request of the values of a call: its checked arguments and those of its
 * hidden parameters. What no template places goes into the body where that is an object, else into the query, before what
 * the definition has there; a name that the definition has there, in whatever case, stays the definition's.
 *
 * The result throws CallError `invalid_arguments` that names the value which cannot be placed, or the limit of a part that
 * gets too large.
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
  const queryNames = foldNames([...url.queryNames, ...query.names]);
  const bodyNames = body?.keys && foldNames(body.keys);

  return (values) => {
    const unplaced = Object.entries(values).filter(([name]) => !placed.has(name));
    const counter: Counter = { part: 'url', size: 0 };
    const { base, pairs } = url.render(values, counter);
    const added = query.render(values, counter);
    const written = headers.render(values);
    const value = body?.render(values);
    let free: string[] = [];
    let text: string | undefined;
    if (isJsonObject(value)) {
      text = toText(value, bodyNames ?? foldNames(Object.keys(value)), unplaced, isForm(written));
    } else {
      free = renderFree(
        unplaced.filter(([name]) => !isOneOfQuery(queryNames, name)),
        counter,
      );
      text = value === undefined ? undefined : toJson(value);
    }
    const sent: Record<string, string> = { accept: ACCEPT, 'user-agent': 'tool-service' };
    if (text !== undefined) sent['content-type'] = 'application/json';
    return {
      url: withPairs(base, [...free, pairs.join('&'), ...added]),
      method,
      headers: { ...sent, ...written },
      body: text,
    };
  };
}

/** An object with what is not placed. The definition's own comes last, as most readers take the last of a name. */
function toText(
  value: JsonObject,
  names: ReadonlySet<string>,
  unplaced: readonly (readonly [string, JsonValue])[],
  asForm: boolean,
): string {
  const isFixed = asForm ? isOneOfQuery : isOneOf;
  const free = unplaced.filter(([name]) => !isFixed(names, name));
  const whole = free.length === 0 ? value : Object.fromEntries([...free, ...Object.entries(value)]);
  return asForm ? toForm(whole) : toJson(whole);
}

function isForm(headers: Readonly<Record<string, string>>): boolean {
  return /^\s*application\/x-www-form-urlencoded\s*(?:;|$)/i.test(headers['content-type'] ?? '');
}

function withPairs(base: string, pairs: readonly string[]): string {
  const query = pairs.filter((pair) => pair !== '').join('&');
  const url = query === '' ? base : `${base}?${query}`;
  checkSize('url', url.length);
  return url;
}

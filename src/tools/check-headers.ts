import { checkHeader } from '../egress/check-request.ts';
import { getOwn, type JsonValue } from '../json.ts';
import type { Authentication } from './authentication-definition.ts';
import type { HiddenParameters } from './definition.ts';
import { faultAt } from './definition-words.ts';
import { fillTemplate, parseTemplate, placeholdersOf } from './template.ts';

/** Headers that the service sets, for every tool alike. */
const SERVICE_HEADERS: ReadonlySet<string> = new Set([
  'accept-encoding',
  'idempotency-key',
  'traceparent',
  'tracestate',
  'webhook-id',
  'webhook-signature',
  'webhook-timestamp',
]);

/** Names (lower case) of headers that carry a credential. */
const CREDENTIAL = /^(?:authorization|cookie)$|api[-_]?key$|token|secret|password/;

const JSON_TYPE = /^application\/(?:json|[\w.-]+\+json)$/;
const FORM_TYPE = 'application/x-www-form-urlencoded';

/** What the headers of a call are judged by. */
export interface HeadersScope {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: JsonValue | undefined;
  readonly authentication: Authentication | undefined;
  readonly hidden: HiddenParameters;
  /** The names of placeholders. */
  readonly names: ReadonlySet<string>;
}

/** Finds a header that cannot be sent, that is another's to set, or that holds a secret in clear text. */
export function findHeadersFault(scope: HeadersScope): string | undefined {
  const seen = new Set<string>();
  for (const [name, value] of Object.entries(scope.headers)) {
    const words = wordsAgainst(scope, name.toLowerCase(), value, seen);
    if (words !== undefined) return faultAt(['execution', 'headers', name], words);
    seen.add(name.toLowerCase());
  }
  return undefined;
}

function wordsAgainst(
  { authentication, hidden, names, body }: HeadersScope,
  name: string,
  value: string,
  seen: ReadonlySet<string>,
): string | undefined {
  // The schema passes over this key, so that its value may be anything.
  if (name === '__proto__') return 'must have another name';
  const template = parseTemplate(value, names);
  const words = checkHeaderName(name) ?? checkHeader(name, fillTemplate(template, () => '1') ?? '');
  if (words !== undefined) return words;
  if (seen.has(name)) return 'must not be given twice';
  if (name === 'authorization' && authentication) return "must not be given beside 'authentication'";
  if (CREDENTIAL.test(name)) {
    const isConstant = (parameter: string) => 'value' in (getOwn(hidden, parameter) ?? {});
    const parameters = placeholdersOf(template);
    if (parameters.length === 0 || parameters.some(isConstant)) {
      return "must not hold a constant credential: it belongs into 'authentication'";
    }
  }
  return name === 'content-type' ? wordsAgainstType(value, body) : undefined;
}

function wordsAgainstType(value: string, body: JsonValue | undefined): string | undefined {
  const type = value.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (JSON_TYPE.test(type)) return undefined;
  if (type !== FORM_TYPE) return `must be application/json, a type that ends in +json, or ${FORM_TYPE}`;
  const isForm = body === undefined || (typeof body === 'object' && body !== null && !Array.isArray(body));
  return isForm ? undefined : "must be a type of JSON, as 'body' is no object";
}

/** What can be said against the name of a header, as `checkHeader` says it. */
export function checkHeaderName(name: string): string | undefined {
  return SERVICE_HEADERS.has(name.toLowerCase())
    ? 'must not be one that the service sets itself'
    : checkHeader(name, '');
}

import { isEmail, isInternationalEmail } from './email.ts';
import { isHostname, isInternationalHostname } from './hostname.ts';
import { isIpv4, isIpv6 } from './ip-address.ts';
import { isDate, isDateTime, isDuration, isTime } from './time.ts';
import { isIri, isIriReference, isUri, isUriReference, isUriTemplate } from './uri.ts';

interface Format {
  /** For `expected …`. */
  readonly words: string;
  /** Takes time in proportion to the text's length at most. */
  readonly test: (text: string) => boolean;
}

/** Characters of a regular expression; longer ones are not valid. */
const LONGEST_EXPRESSION = 10_000;

/** The formats that are checked (2020-12 Validation, section 7.3). Others are notes for the reader. */
export const formats: ReadonlyMap<string, Format> = new Map([
  ['date', { words: 'a date such as "2024-05-31"', test: isDate }],
  ['date-time', { words: 'a date and time such as "2024-05-31T13:45:00Z"', test: isDateTime }],
  ['duration', { words: 'an ISO 8601 duration such as "P1DT12H"', test: isDuration }],
  ['email', { words: 'an e-mail address', test: isEmail }],
  ['hostname', { words: 'a host name', test: isHostname }],
  ['idn-email', { words: 'an e-mail address', test: isInternationalEmail }],
  ['idn-hostname', { words: 'a host name', test: isInternationalHostname }],
  ['ipv4', { words: 'an IPv4 address', test: isIpv4 }],
  ['ipv6', { words: 'an IPv6 address', test: isIpv6 }],
  ['iri', { words: 'an absolute IRI such as "https://example.com/ä"', test: isIri }],
  ['iri-reference', { words: 'an IRI reference', test: isIriReference }],
  ['json-pointer', { words: 'a JSON pointer such as "/items/0"', test: isJsonPointer }],
  ['regex', { words: 'a regular expression', test: isRegularExpression }],
  [
    'relative-json-pointer',
    { words: 'a relative JSON pointer such as "1/name"', test: isRelativeJsonPointer },
  ],
  ['time', { words: 'a time with a time zone such as "13:45:00Z"', test: isTime }],
  ['uri', { words: 'an absolute URI such as "https://example.com/a"', test: isUri }],
  ['uri-reference', { words: 'a URI reference', test: isUriReference }],
  ['uri-template', { words: 'a URI template such as "/users/{id}"', test: isUriTemplate }],
  ['uuid', { words: 'a UUID', test: isUuid }],
]);

/** RFC 4122. */
function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text);
}

/** RFC 6901. */
function isJsonPointer(text: string): boolean {
  return (text === '' || text.startsWith('/')) && !/~(?![01])/.test(text);
}

function isRelativeJsonPointer(text: string): boolean {
  const digits = /^(?:0|[1-9][0-9]{0,15})(?![0-9])/.exec(text)?.[0];
  if (digits === undefined) return false;
  const rest = text.slice(digits.length);
  return rest === '#' || isJsonPointer(rest);
}

/** The engine's parser reads the expression, and does not run it. */
function isRegularExpression(text: string): boolean {
  if (text.length > LONGEST_EXPRESSION) return false;
  try {
    new RegExp(text, 'u');
    return true;
  } catch {
    return false;
  }
}

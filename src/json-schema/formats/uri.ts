import { isIpv6 } from './ip-address.ts';

/** Characters of a URI template; longer ones are not valid. */
const LONGEST_TEMPLATE = 10_000;

/** Characters that are not allowed in a part of a URI; '%' is judged apart. */
interface Forbidden {
  readonly userinfo: RegExp;
  readonly host: RegExp;
  readonly path: RegExp;
  readonly query: RegExp;
}

/** RFC 3986, appendix A. */
const URI: Forbidden = {
  userinfo: /[^\w.~!$&'()*+,;=:%-]/,
  host: /[^\w.~!$&'()*+,;=%-]/,
  path: /[^\w.~!$&'()*+,;=:@/%-]/,
  query: /[^\w.~!$&'()*+,;=:@/?%-]/,
};

/** RFC 3987, section 2.2: characters beyond ASCII as well. */
const IRI: Forbidden = {
  userinfo: /[^\w.~!$&'()*+,;=:%\u00a0-\u{10ffff}-]/u,
  host: /[^\w.~!$&'()*+,;=%\u00a0-\u{10ffff}-]/u,
  path: /[^\w.~!$&'()*+,;=:@/%\u00a0-\u{10ffff}-]/u,
  query: /[^\w.~!$&'()*+,;=:@/?%\u00a0-\u{10ffff}-]/u,
};

export function isUri(text: string): boolean {
  return schemeLength(text) > 0 && isReference(text, URI);
}

export function isUriReference(text: string): boolean {
  return isReference(text, URI);
}

export function isIri(text: string): boolean {
  return schemeLength(text) > 0 && isReference(text, IRI);
}

export function isIriReference(text: string): boolean {
  return isReference(text, IRI);
}

/** The scheme with its colon, RFC 3986, section 3.1; 0 without one. */
function schemeLength(text: string): number {
  return /^[a-z][a-z0-9+.-]*:/i.exec(text)?.[0].length ?? 0;
}

/** The parts are split as in RFC 3986, appendix B. */
function isReference(text: string, forbidden: Forbidden): boolean {
  if (/%(?![0-9a-f]{2})/i.test(text)) return false;
  const scheme = schemeLength(text);
  const [beforeFragment, fragment] = cut(text.slice(scheme), '#');
  const [hierarchy, query] = cut(beforeFragment, '?');
  if (forbidden.query.test(query) || forbidden.query.test(fragment)) return false;
  if (!hierarchy.startsWith('//')) return isPath(hierarchy, scheme > 0, forbidden);
  const [authority] = cut(hierarchy.slice(2), '/');
  return isAuthority(authority, forbidden) && !forbidden.path.test(hierarchy.slice(2 + authority.length));
}

/** Without a scheme the first segment can't hold a colon, which would be the scheme's. */
function isPath(path: string, hasScheme: boolean, forbidden: Forbidden): boolean {
  const [first] = cut(path, '/');
  return !forbidden.path.test(path) && (hasScheme || !first.includes(':'));
}

function isAuthority(authority: string, forbidden: Forbidden): boolean {
  const at = authority.lastIndexOf('@');
  if (forbidden.userinfo.test(authority.slice(0, Math.max(at, 0)))) return false;
  const place = authority.slice(at + 1);
  const port = /:[0-9]*$/.exec(place)?.[0] ?? '';
  const host = place.slice(0, place.length - port.length);
  return host.startsWith('[') ? isAddress(host) : !forbidden.host.test(host);
}

/** `[::1]` or, for addresses to come, `[v1.x]`: RFC 3986, section 3.2.2. */
function isAddress(host: string): boolean {
  if (!host.endsWith(']')) return false;
  const address = host.slice(1, -1);
  return isIpv6(address) || /^v[0-9a-f]+\.[\w.~!$&'()*+,;=:-]+$/i.test(address);
}

function cut(text: string, separator: string): [before: string, after: string] {
  const index = text.indexOf(separator);
  return index < 0 ? [text, ''] : [text.slice(0, index), text.slice(index + 1)];
}

/** RFC 6570. */
export function isUriTemplate(text: string): boolean {
  if (text.length > LONGEST_TEMPLATE) return false;
  const [literal = '', ...rest] = text.split('{');
  return isLiteral(literal) && rest.every(isExpressionAndLiteral);
}

/** Characters of RFC 6570, section 2.1. */
function isLiteral(text: string): boolean {
  return !/[\0-\x20\x7f-\x9f"<>\\^`{|}]|%(?![0-9a-f]{2})/i.test(text);
}

/** `operator variable, variable` up to '}', RFC 6570, section 2.2, and what follows. */
function isExpressionAndLiteral(text: string): boolean {
  const end = text.indexOf('}');
  if (end < 0 || !isLiteral(text.slice(end + 1))) return false;
  const variables = text.slice(0, end).replace(/^[+#./;?&=,!@|]/, '');
  return variables.split(',').every(isVariable);
}

function isVariable(text: string): boolean {
  const name = text.replace(/(?::[1-9][0-9]{0,3}|\*)$/, '');
  return name !== '' && !/[^\w.%]|%(?![0-9a-f]{2})|^\.|\.$|\.\./i.test(name);
}

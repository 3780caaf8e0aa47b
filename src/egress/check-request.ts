/** A token, and a value without control characters but the tab (RFC 9110, sections 5.6.2 and 5.5). */
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Headers that belong to the connection or to this client: `host` is the URL's, the length is the body's. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'trailers',
  'transfer-encoding',
  'upgrade',
]);

/** What can be said against a method: words to follow "The method", or undefined. */
export function checkMethod(method: string): string | undefined {
  if (!/^[A-Z]+$/.test(method)) return 'must be upper-case letters';
  return method === 'CONNECT' || method === 'TRACE' ? 'must not be CONNECT or TRACE' : undefined;
}

/** What can be said against a header: words to follow "A header" or its field's name, or undefined. */
export function checkHeader(name: string, value: string): string | undefined {
  if (!NAME.test(name)) return 'must have a name of letters, digits and hyphens';
  if (isOwn(name.toLowerCase())) return 'must not be one that belongs to the connection';
  return VALUE.test(value) ? undefined : 'must not have line breaks or control characters in its value';
}

/** A proxy's headers (`proxy-authorization`, `proxy-connection`, …) concern the next hop alone. */
function isOwn(name: string): boolean {
  return OWN_HEADERS.has(name) || name.startsWith('proxy-');
}

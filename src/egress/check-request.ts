import { validateHeaderName, validateHeaderValue } from 'node:http';

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
  if (!succeeds(() => validateHeaderName(name))) return 'must have a name of letters, digits and hyphens';
  if (isOwn(name.toLowerCase())) return 'must not be one that belongs to the connection';
  return succeeds(() => validateHeaderValue(name, value))
    ? undefined
    : 'must not have line breaks or control characters in its value';
}

/** A proxy's headers (`proxy-authorization`, `proxy-connection`, …) concern the next hop alone. */
function isOwn(name: string): boolean {
  return OWN_HEADERS.has(name) || name.startsWith('proxy-');
}

function succeeds(check: () => void): boolean {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}

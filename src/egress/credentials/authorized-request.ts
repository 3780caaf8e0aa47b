import { foldNames, isOneOfQuery } from '../../fold-names.ts';

/** A request as it is about to be sent. */
export interface OutgoingRequest {
  url: string;
  method: string;
  headers: Record<string, string>;
  body?: string | undefined;
}

/** A request that carries its credential. */
export interface AuthorizedRequest extends OutgoingRequest {
  /**
   * What no caller may see, should the upstream give it back: the secrets, and each text made of them that was sent, as it
   * was sent.
   */
  readonly secrets: readonly string[];
  /**
   * Forgets the token that was used, so that the next request fetches another; to be called after a 401. Left out where
   * there is nothing to renew.
   */
  readonly renew?: () => void;
}

/** Sets headers (lower-case names), each in place of any of its name, however spelt. */
export function withHeaders(request: OutgoingRequest, added: Record<string, string>): OutgoingRequest {
  const others = Object.entries(request.headers).filter(
    ([name]) => !Object.hasOwn(added, name.toLowerCase()),
  );
  return { ...request, headers: { ...Object.fromEntries(others), ...added } };
}

/** Sets a parameter of the query in place of all of its name: none that came from a model may stand before it. */
export function withQueryParameter(request: OutgoingRequest, name: string, value: string): OutgoingRequest {
  const url = new URL(request.url);
  const own = foldNames([name]);
  // By hand, as `searchParams` would spell the other parameters anew.
  const others = url.search
    .slice(1)
    .split('&')
    .filter(
      (pair) => pair !== '' && ![...new URLSearchParams(pair).keys()].some((key) => isOneOfQuery(own, key)),
    );
  url.search = [...others, `${percentEncode(name)}=${percentEncode(value)}`].join('&');
  return { ...request, url: url.href };
}

/** Leaves none but the unreserved characters of RFC 3986 as they are. */
export function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** A user's name and password for the `authorization` header, in UTF-8 (RFC 7617). */
export function basicCredentials(username: string, password: string): string {
  return Buffer.from(`${username}:${password}`, 'utf8').toString('base64');
}

import { clip } from '../../../clip.ts';
import { getOwn, isJsonObject, type JsonObject, type JsonValue } from '../../../json.ts';
import { DocumentError } from './document-error.ts';

const MAX_LENGTH = 8192;

/**
 * The URL that an operation's path is appended to, without a slash at the end: what whoever imports says, else the first
 * server of the operation, of its path, or of the document.
 *
 * @throws DocumentError for one that is relative or has a variable without a default.
 */
export function serverUrl(given: string | undefined, places: readonly JsonObject[]): string {
  const url = given ?? firstServer(places);
  if (url.length > MAX_LENGTH) throw new DocumentError("The server's URL is too long.");
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) {
    throw new DocumentError(`The server "${clip(url)}" is not an absolute URL: give 'server_url'.`);
  }
  if (/[?#{}]/.test(url)) {
    throw new DocumentError(
      `The server "${clip(url)}" has a query, a fragment or braces: give 'server_url'.`,
    );
  }
  return url.replace(/\/+$/, '');
}

function firstServer(places: readonly JsonObject[]): string {
  for (const place of places) {
    const servers = getOwn(place, 'servers');
    const [server] = Array.isArray(servers) ? servers : [];
    if (isJsonObject(server) && typeof server.url === 'string' && server.url.length <= MAX_LENGTH) {
      return fillVariables(server.url, getOwn(server, 'variables'));
    }
  }
  return '/';
}

function fillVariables(url: string, variables: JsonValue | undefined): string {
  return url.replace(/\{([^{}]*)\}/g, (_, name: string) => {
    const variable = isJsonObject(variables) ? getOwn(variables, name) : undefined;
    const value = isJsonObject(variable) ? variable.default : undefined;
    if (typeof value === 'string') return value;
    throw new DocumentError(`The server's variable "${clip(name)}" has no default: give 'server_url'.`);
  });
}

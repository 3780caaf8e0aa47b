import { checkHeaderName, findHeadersFault } from './check-headers.ts';
import type { ToolsContext } from './context.ts';
import type { Definition, WebhookExecution } from './definition.ts';
import { faultAt } from './definition-words.ts';
import { fillTemplate, parseUrlTemplate, placeholdersOf, type Template, templateNames } from './template.ts';

type WebhookDefinition = Definition & { readonly execution: WebhookExecution };

/** Finds what the parts of an HTTP call, each well formed, must not be together. */
export function findWebhookFault(
  context: Pick<ToolsContext, 'checkUrl'>,
  definition: WebhookDefinition,
): string | undefined {
  const { execution, hidden = {} } = definition;
  const { headers = {}, body, authentication } = execution;
  const names = templateNames(definition);
  return (
    findUrlFault(context, parseUrlTemplate(execution.url, names)) ??
    findQueryFault(execution) ??
    findBodyFault(execution) ??
    findHeadersFault({ headers, body, authentication, hidden, names }) ??
    findAuthenticationFault(context, execution)
  );
}

function findUrlFault(context: Pick<ToolsContext, 'checkUrl'>, template: Template): string | undefined {
  const fault = (words: string) => faultAt(['execution', 'url'], words);
  if (placeholdersOf(template).length > 0) {
    const [one, other] = [parsed(template, '1'), parsed(template, '2')];
    // What two values make differ here is no part of the path or the query, wherever a parser sees these begin.
    if (prefixOf(one) !== prefixOf(other)) return fault('must not have a placeholder before its path');
    if (one?.hash !== other?.hash) return fault('must not have a placeholder in its fragment');
    if (template.slice(0, -1).some(endsInPercent)) {
      return fault('must not have a placeholder within a percent-encoded character');
    }
  }
  const refusal = context.checkUrl(filled(template, '1'));
  return refusal && `Webhook 'url' is not allowed: ${refusal}`;
}

/** A value after it could become a slash. Parsers of URLs pass over tabs and line ends. */
function endsInPercent(part: Template[number]): boolean {
  return typeof part === 'string' && /%[\dA-F]?$/i.test(part.replace(/[\t\n\r]/g, ''));
}

function filled(template: Template, value: string): string {
  return fillTemplate(template, () => value) ?? '';
}

function parsed(template: Template, value: string): URL | undefined {
  const url = filled(template, value);
  return URL.canParse(url) ? new URL(url) : undefined;
}

/** What a URL has before its path. */
function prefixOf(url: URL | undefined): string | undefined {
  return url && `${url.protocol}//${url.username}:${url.password}@${url.host}`;
}

function findQueryFault({ query = {} }: WebhookExecution): string | undefined {
  // The schema passes over this key, so that its value may be anything.
  return Object.hasOwn(query, '__proto__')
    ? faultAt(['execution', 'query', '__proto__'], 'must have another name')
    : undefined;
}

function findBodyFault({ method, body }: WebhookExecution): string | undefined {
  if (body === undefined || (method !== 'GET' && method !== 'HEAD')) return undefined;
  return faultAt(['execution', 'body'], `must not be given for ${method}`);
}

function findAuthenticationFault(
  { checkUrl }: Pick<ToolsContext, 'checkUrl'>,
  { authentication, headers = {}, query = {} }: WebhookExecution,
): string | undefined {
  if (!authentication) return undefined;
  switch (authentication.type) {
    case 'api_key': {
      const { in: place, name } = authentication;
      const fault = (words: string) => faultAt(['execution', 'authentication', 'name'], words);
      if (place === 'query') {
        return Object.hasOwn(query, name) ? fault("must not be one that 'query' sets too") : undefined;
      }
      const words = checkHeaderName(name);
      if (words !== undefined) return fault(words);
      const isSet = Object.keys(headers).some((header) => header.toLowerCase() === name.toLowerCase());
      return isSet ? fault("must not be one that 'headers' sets too") : undefined;
    }
    case 'oauth2_client_credentials': {
      const { token_url: url } = authentication;
      // RFC 6749, section 3.2, has no fragment in it.
      const words = checkUrl(url) ?? (new URL(url).hash === '' ? undefined : 'must not have a fragment');
      return words && faultAt(['execution', 'authentication', 'token_url'], words);
    }
    case 'bearer':
    case 'basic':
    case 'standard_webhooks':
      return undefined;
    default:
      return authentication satisfies never;
  }
}

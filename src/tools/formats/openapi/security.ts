import { clip } from '../../../clip.ts';
import { getOwn, isJsonObject, type JsonObject, type JsonValue } from '../../../json.ts';
import type { ImportOptions, MissingCredential } from '../candidate.ts';
import { DocumentError } from './document-error.ts';
import { objectAt } from './reference.ts';

const MAX_ALTERNATIVES = 20;

/** How the calls of an operation are authenticated. */
export interface Security {
  readonly authentication?: JsonObject;
  readonly missing?: MissingCredential;
  readonly notes: readonly string[];
}

/** An authentication but for what is secret, and the keys of that. */
interface Mapped {
  readonly authentication: JsonObject & { readonly type: string };
  readonly secrets: readonly string[];
}

/**
 * Chooses among the alternatives of an operation's `security`, else the document's, the first of which the credential is
 * given; it may be one scheme alone.
 */
export function readSecurity(
  document: JsonObject,
  operation: JsonObject,
  credentials: ImportOptions['credentials'] = {},
): Security {
  const alternatives = getOwn(operation, 'security') ?? getOwn(document, 'security');
  if (!Array.isArray(alternatives) || alternatives.length === 0) return { notes: [] };
  const notes: string[] = [];
  let missing: MissingCredential | undefined;
  let isOpen = false;
  for (const alternative of alternatives.slice(0, MAX_ALTERNATIVES)) {
    const schemes = isJsonObject(alternative) ? Object.entries(alternative) : [];
    const [scheme] = schemes;
    if (!scheme) isOpen = true;
    if (!scheme || schemes.length > 1) {
      if (scheme) notes.push('Security schemes that apply together are not sent.');
      continue;
    }
    const mapped = mapScheme(document, scheme[0], scheme[1], notes);
    if (!mapped) continue;
    const given = pick(getOwn(credentials, scheme[0]), mapped.secrets);
    if (given) return { authentication: { ...mapped.authentication, ...given }, notes: [] };
    missing ??= {
      authentication: mapped.authentication,
      note: `Made without authentication: 'credentials' has no ${mapped.secrets.join(' and ')} for "${clip(scheme[0])}".`,
    };
  }
  if (isOpen) return { notes: [] };
  if (missing) return { missing, notes: [] };
  return { notes: ['Made without authentication.', ...new Set(notes)] };
}

function mapScheme(
  document: JsonObject,
  name: string,
  scopes: JsonValue,
  notes: string[],
): Mapped | undefined {
  try {
    const components = getOwn(document, 'components');
    const schemes = isJsonObject(components) ? getOwn(components, 'securitySchemes') : undefined;
    const scheme = isJsonObject(schemes) ? getOwn(schemes, name) : undefined;
    const mapped = map(objectAt(document, scheme, `The security scheme "${clip(name)}"`), scopes);
    if (!mapped) notes.push(`The security scheme "${clip(name)}" is of a kind that is not sent.`);
    return mapped;
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    notes.push(error.message);
    return undefined;
  }
}

function map(scheme: JsonObject, scopes: JsonValue): Mapped | undefined {
  switch (scheme.type) {
    case 'http': {
      const kind = String(scheme.scheme).toLowerCase();
      if (kind === 'bearer') return { authentication: { type: 'bearer' }, secrets: ['token'] };
      return kind === 'basic'
        ? { authentication: { type: 'basic' }, secrets: ['username', 'password'] }
        : undefined;
    }
    case 'apiKey':
      return scheme.in === 'header' || scheme.in === 'query'
        ? {
            authentication: { type: 'api_key', in: scheme.in, name: String(scheme.name) },
            secrets: ['value'],
          }
        : undefined;
    case 'oauth2': {
      const flow = isJsonObject(scheme.flows) ? getOwn(scheme.flows, 'clientCredentials') : undefined;
      if (!isJsonObject(flow)) return undefined;
      const scope = Array.isArray(scopes) ? scopes.filter((item) => typeof item === 'string').join(' ') : '';
      return {
        authentication: {
          type: 'oauth2_client_credentials',
          token_url: String(flow.tokenUrl),
          ...(scope === '' ? {} : { scope }),
        },
        secrets: ['client_id', 'client_secret'],
      };
    }
    default:
      return undefined;
  }
}

function pick(
  credential: Readonly<Record<string, string>> | undefined,
  keys: readonly string[],
): JsonObject | undefined {
  if (!credential || !keys.every((key) => Object.hasOwn(credential, key))) return undefined;
  return Object.fromEntries(keys.map((key) => [key, credential[key] ?? '']));
}

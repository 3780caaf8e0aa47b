import { getOwn, type JsonObject } from '../../json.ts';

/** How a request says on whose behalf it comes: `execution.authentication` of a definition, with the real secrets. */
export type Credential =
  | { readonly type: 'bearer'; readonly token: string }
  | { readonly type: 'basic'; readonly username: string; readonly password: string }
  | {
      readonly type: 'api_key';
      readonly in: 'header' | 'query';
      readonly name: string;
      readonly value: string;
    }
  | OauthClient
  | WebhookKeys;

/** A client that fetches tokens in its own name (RFC 6749 section 4.4). */
export interface OauthClient {
  readonly type: 'oauth2_client_credentials';
  readonly token_url: string;
  readonly client_id: string;
  readonly client_secret: string;
  readonly scope?: string;
  readonly audience?: string;
  /** Whether id and secret go into a header (`basic`, when left out) or the form (RFC 6749 section 2.3.1). */
  readonly client_authentication?: 'basic' | 'body';
}

/** Keys that sign requests, each in base64 with or without `whsec_` before it. */
export interface WebhookKeys {
  readonly type: 'standard_webhooks';
  readonly secret: string;
  /** Signs as well, while the receiver changes over. */
  readonly previous_secret?: string;
}

const SECRET_KEYS: Readonly<Record<Credential['type'], readonly string[]>> = {
  bearer: ['token'],
  basic: ['password'],
  api_key: ['value'],
  oauth2_client_credentials: ['client_secret'],
  standard_webhooks: ['secret', 'previous_secret'],
};

/**
 * Puts the secrets back into the authentication of a stored definition, whose shape was checked when it was stored.
 *
 * @param secrets by the JSON pointers of their places in the definition.
 * @returns undefined when a secret is missing, or the type is none that is known.
 */
export function readCredential(
  authentication: JsonObject,
  secrets: Readonly<Record<string, string>>,
): Credential | undefined {
  const keys = getOwn(SECRET_KEYS, String(authentication.type));
  if (keys === undefined) return undefined;
  const filled = { ...authentication };
  for (const key of keys) {
    if (!Object.hasOwn(authentication, key)) continue;
    const secret = getOwn(secrets, `/execution/authentication/${key}`);
    if (secret === undefined) return undefined;
    filled[key] = secret;
  }
  return filled as unknown as Credential;
}

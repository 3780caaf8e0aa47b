import type { EgressClient } from '../egress-client.ts';
import {
  type AuthorizedRequest,
  basicCredentials,
  type OutgoingRequest,
  percentEncode,
  withHeaders,
  withQueryParameter,
} from './authorized-request.ts';
import type { Credential } from './credential.ts';
import { createOauthTokens } from './oauth-tokens.ts';
import { signWebhook, webhookHeaders, withoutPrefix } from './standard-webhooks.ts';
import { clientSecrets } from './token-request.ts';

export type { AuthorizedRequest, OutgoingRequest } from './authorized-request.ts';
export { type Credential, readCredential } from './credential.ts';
export { CredentialError } from './credential-error.ts';

const TOKEN_TIMEOUT_MS = 10_000;

export interface AuthorizeOptions {
  /** Who shares access tokens: never two owners. */
  scope: string;
  /** Of the call, the same for each of its attempts. Chosen by the service, without a full stop. */
  messageId: string;
  /** Ends the wait for an access token, as it ends a request. */
  signal: AbortSignal;
}

export interface Credentials {
  /**
   * Makes of a request one that carries its credential, in place of whatever it had there. To be asked for each attempt
   * anew: a signature holds the time, and a token may have been renewed.
   *
   * @throws CredentialError when a token endpoint gives no token.
   * @throws EgressError when a token endpoint may not or cannot be reached. `bytesSent` is false, as the request itself was
   * not sent.
   */
  authorize(
    request: OutgoingRequest,
    credential: Credential,
    options: AuthorizeOptions,
  ): Promise<AuthorizedRequest>;
}

export interface CredentialsOptions {
  /** The way to token endpoints. */
  egress: Pick<EgressClient, 'request'>;
  /** Milliseconds since 1970. */
  now: () => number;
  /** For one fetch of a token, in milliseconds; 10,000 when left out. */
  tokenTimeoutMs?: number;
}

/** Gives requests their credentials. Keeps access tokens for up to 1000 clients, in memory; there is nothing to close. */
export function createCredentials(options: CredentialsOptions): Credentials {
  const { egress, now, tokenTimeoutMs = TOKEN_TIMEOUT_MS } = options;
  const tokens = createOauthTokens({ egress, now, timeoutMs: tokenTimeoutMs });

  return {
    async authorize(request, credential, { scope, messageId, signal }) {
      switch (credential.type) {
        case 'bearer': {
          const { token } = credential;
          return { ...withHeaders(request, { authorization: `Bearer ${token}` }), secrets: [token] };
        }
        case 'basic': {
          const { username, password } = credential;
          const pair = basicCredentials(username, password);
          return { ...withHeaders(request, { authorization: `Basic ${pair}` }), secrets: [password, pair] };
        }
        case 'api_key': {
          const { name, value } = credential;
          const authorized =
            credential.in === 'query'
              ? withQueryParameter(request, name, value)
              : withHeaders(request, { [name.toLowerCase()]: value });
          return { ...authorized, secrets: unique([value, percentEncode(value)]) };
        }
        case 'oauth2_client_credentials': {
          const { text, renew } = await tokens.get(credential, { scope, signal });
          return {
            ...withHeaders(request, { authorization: `Bearer ${text}` }),
            secrets: unique([text, ...clientSecrets(credential)]),
            renew,
          };
        }
        case 'standard_webhooks': {
          const message = { id: messageId, timestamp: now(), payload: request.body ?? '' };
          const signatures = signWebhook(credential, message);
          const keys = [credential.secret, credential.previous_secret].filter((key) => key !== undefined);
          return {
            ...withHeaders(request, webhookHeaders(message, signatures)),
            secrets: unique([...keys, ...keys.map(withoutPrefix), ...signatures]),
          };
        }
        default:
          return credential satisfies never;
      }
    },
  };
}

function unique(texts: string[]): string[] {
  return [...new Set(texts)];
}

import { getOwn, isJsonObject, type JsonObject } from '../../json.ts';
import { type EgressClient, EgressError, type EgressResponse } from '../egress-client.ts';
import { basicCredentials } from './authorized-request.ts';
import type { OauthClient } from './credential.ts';
import { CredentialError } from './credential-error.ts';

const MAX_RESPONSE_BYTES = 64 * 1024;
/** Visible ASCII, as it becomes part of a header; no longer than servers take one. */
const ACCESS_TOKEN = /^[!-~]{1,16384}$/;
const DEFAULT_LIFETIME_S = 300;
const MAX_LIFETIME_S = 24 * 3600;
/** A token is given up this long before its end, or a tenth of its life where that is less. */
const MARGIN_S = 60;

export interface FetchedToken {
  readonly text: string;
  /** How long it may be used from the moment that it was asked for. */
  readonly lifetimeMs: number;
}

/**
 * Asks a token endpoint for an access token (RFC 6749 section 4.4.2), without a retry.
 *
 * @throws CredentialError when the endpoint refuses or answers with what is no token.
 * @throws EgressError as `tokenEndpointError` makes it.
 */
export async function requestToken(
  egress: Pick<EgressClient, 'request'>,
  client: OauthClient,
  signal: AbortSignal,
): Promise<FetchedToken> {
  const isBasic = client.client_authentication !== 'body';
  const form = new URLSearchParams({ grant_type: 'client_credentials' });
  if (client.scope !== undefined) form.set('scope', client.scope);
  if (client.audience !== undefined) form.set('audience', client.audience);
  if (!isBasic) {
    form.set('client_id', client.client_id);
    form.set('client_secret', client.client_secret);
  }
  try {
    const response = await egress.request({
      url: client.token_url,
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        accept: 'application/json',
        'user-agent': 'tool-service',
        ...(isBasic ? { authorization: `Basic ${clientCredentials(client)}` } : {}),
      },
      body: form.toString(),
      signal,
      maxResponseBytes: MAX_RESPONSE_BYTES,
    });
    return readToken(response);
  } catch (error) {
    throw error instanceof EgressError ? tokenEndpointError(error) : error;
  }
}

/** Says that it was the token endpoint that failed. The tool itself was sent nothing. */
export function tokenEndpointError(error: EgressError): EgressError {
  const message = `No access token from the tool's token endpoint: ${error.message}`;
  return new EgressError(error.reason, message, { bytesSent: false, cause: error });
}

/** The client's secret in each form in which a token endpoint may be sent it. */
export function clientSecrets(client: OauthClient): string[] {
  return [client.client_secret, formEncode(client.client_secret), clientCredentials(client)];
}

function clientCredentials(client: OauthClient): string {
  // Encoded first, so that a colon in the id does not end it (RFC 6749 section 2.3.1).
  return basicCredentials(formEncode(client.client_id), formEncode(client.client_secret));
}

/** As one name or value of an application/x-www-form-urlencoded text. */
function formEncode(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice('='.length);
}

function readToken({ status, body }: EgressResponse): FetchedToken {
  if (status < 200 || status > 299) {
    const redirect = status >= 300 && status < 400 ? ' Redirects are not followed.' : '';
    throw new CredentialError(`The tool's token endpoint answered with HTTP status ${status}.${redirect}`);
  }
  const answer = parseObject(body.toString('utf8'));
  if (answer === undefined) throw unusable('a body that is not a JSON object');
  const tokenType = getOwn(answer, 'token_type');
  if (tokenType !== undefined && !(typeof tokenType === 'string' && /^bearer$/i.test(tokenType))) {
    throw unusable('a token that is not a bearer token');
  }
  const text = getOwn(answer, 'access_token');
  if (typeof text !== 'string' || !ACCESS_TOKEN.test(text))
    throw unusable('no access token that can be sent');
  return { text, lifetimeMs: lifetimeSeconds(getOwn(answer, 'expires_in')) * 1000 };
}

function unusable(what: string): CredentialError {
  return new CredentialError(`The tool's token endpoint answered with ${what}.`);
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    // The parser's message would quote the body.
    return undefined;
  }
}

/** Some endpoints write the number as a string. What cannot be read counts as left out. */
function lifetimeSeconds(expiresIn: unknown): number {
  const isNumeric =
    typeof expiresIn === 'number' || (typeof expiresIn === 'string' && /^\d+$/.test(expiresIn));
  const stated = isNumeric ? Number(expiresIn) : DEFAULT_LIFETIME_S;
  const seconds = Math.min(stated, MAX_LIFETIME_S);
  return seconds - Math.min(MARGIN_S, seconds / 10);
}

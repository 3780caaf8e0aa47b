import { createHash, timingSafeEqual } from 'node:crypto';
import type { Caller } from '../caller.ts';
import type { ServiceToken } from '../config.ts';
import { ServiceError } from '../errors.ts';
import { isJsonObject } from '../json.ts';
import { parseUuid } from '../uuid.ts';
import type { Tokens } from './tokens.ts';

/** Slack on `exp`, `nbf` and `iat` for clocks that differ, in seconds. */
const LEEWAY_SECONDS = 10;

/** Why a caller is refused: the body of REST's 401, of which RPC takes the words. */
export interface Refusal {
  readonly detail: string;
  readonly code?: string;
  readonly messages?: readonly [{ token_class: 'AccessToken'; token_type: 'access'; message: string }];
}

/** What a request's credentials come to. A service's caller acts for nobody until its request names a user. */
export type Authentication =
  | { readonly kind: 'caller'; readonly caller: Caller }
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/**
 * Reads an `Authorization` header.
 *
 * A promise where a user's token is right, since the user may be deleted; it rejects with a ServiceError `unavailable` when
 * that cannot be told now.
 */
export type Authenticate = (authorization: string | undefined) => Authentication | Promise<Authentication>;

export const NO_CREDENTIALS: Refusal = { detail: 'Authentication credentials were not provided.' };

const BAD_HEADER: Refusal = {
  detail: 'Authorization header must contain two space-delimited values',
  code: 'bad_authorization_header',
};

const NO_USER: Refusal = {
  detail: 'Token contained no recognizable user identification',
  code: 'token_not_valid',
};

/**
 * Makes the check of bearer tokens: a user's JWT (RFC 7519, HS256), or a service's token, compared in constant time.
 *
 * @param options.isDeletedUser asked for each request with a user's token, so that a deletion takes effect at once.
 * @param options.now the time in milliseconds since 1970.
 */
export function createAuthenticate(options: {
  tokens: Pick<Tokens, 'verify'>;
  issuer: string;
  serviceTokens: readonly ServiceToken[];
  isDeletedUser: (userId: string) => Promise<boolean>;
  now: () => number;
}): Authenticate {
  const services = options.serviceTokens.map(({ name, secret }) => ({ name, digest: sha256(secret) }));

  return (authorization) => {
    // A scheme other than "Bearer" is none of ours; the header's parts are split as Python's str.split does.
    const parts = authorization?.trim().split(/\s+/) ?? [];
    if (parts[0] !== 'Bearer') return { kind: 'anonymous' };
    const [, token] = parts;
    if (token === undefined || parts.length > 2) return { kind: 'refused', refusal: BAD_HEADER };

    const service = findService(services, token);
    if (service) return { kind: 'caller', caller: { kind: 'service', name: service, userId: null } };
    let claims: unknown;
    try {
      claims = options.tokens.verify(token);
    } catch {
      return refused('Token is invalid');
    }
    const authentication = readClaims(claims, options.issuer, options.now() / 1000);
    if (authentication.kind !== 'caller') return authentication;
    return unlessDeleted(authentication, options.isDeletedUser);
  };
}

/** A user whose deletion was asked for is nobody any more. */
async function unlessDeleted(
  authentication: UserAuthentication,
  isDeletedUser: (userId: string) => Promise<boolean>,
): Promise<Authentication> {
  let isDeleted: boolean;
  try {
    isDeleted = await isDeletedUser(authentication.caller.userId);
  } catch (error) {
    throw new ServiceError('unavailable', 'The credentials cannot be checked now.', { cause: error });
  }
  return isDeleted ? { kind: 'refused', refusal: NO_USER } : authentication;
}

function findService(
  services: readonly { name: string; digest: Buffer }[],
  token: string,
): string | undefined {
  if (services.length === 0) return undefined;
  const digest = sha256(token);
  let found: string | undefined;
  for (const service of services) {
    if (timingSafeEqual(service.digest, digest)) found = service.name;
  }
  return found;
}

type Refused = Extract<Authentication, { kind: 'refused' }>;
type UserAuthentication = { readonly kind: 'caller'; readonly caller: Extract<Caller, { kind: 'user' }> };

/** Checks the claims of a token whose signature is right, in the order that decides which fault is told. */
function readClaims(claims: unknown, issuer: string, nowSeconds: number): Refused | UserAuthentication {
  if (!isJsonObject(claims)) return refused('Token is invalid');
  const { exp, nbf, iat } = claims;
  for (const time of [iat, nbf]) {
    if (time === undefined) continue;
    if (typeof time !== 'number' || time > nowSeconds + LEEWAY_SECONDS) return refused('Token is invalid');
  }
  if (exp !== undefined) {
    if (typeof exp !== 'number') return refused('Token is invalid');
    if (exp <= nowSeconds - LEEWAY_SECONDS) return refused('Token is expired');
  }
  if (claims.iss !== issuer) return refused('Token is invalid');
  if (exp === undefined) return refused("Token has no 'exp' claim");
  if (claims.jti === undefined || claims.jti === null) return refused('Token has no id');
  if (claims.token_type === undefined) return refused('Token has no type');
  if (claims.token_type !== 'access') return refused('Token has wrong type');

  const userId = parseUuid(claims.user_id);
  if (userId === undefined) return { kind: 'refused', refusal: NO_USER };
  return { kind: 'caller', caller: { kind: 'user', userId, isStaff: claims.is_staff === true } };
}

/** The refusal of a token for a fault of its own. */
export function invalidToken(message: string): Refusal {
  return {
    detail: 'Given token not valid for any token type',
    code: 'token_not_valid',
    messages: [{ token_class: 'AccessToken', token_type: 'access', message }],
  };
}

function refused(message: string): Refused {
  return { kind: 'refused', refusal: invalidToken(message) };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

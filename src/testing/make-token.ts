import { createHmac, randomUUID } from 'node:crypto';
import { JWT_KEY } from './start-test-service.ts';

export const JWT_ISSUER = 'https://ms1.auth-service.com';

export interface SigningOptions {
  readonly key?: string;
  readonly header?: Readonly<Record<string, unknown>>;
}

/** A JWT (RFC 7519) of just these claims, signed with HS256 whatever its header says. Shares no code with the service. */
export function signToken(
  claims: unknown,
  { key = JWT_KEY, header = { alg: 'HS256', typ: 'JWT' } }: SigningOptions = {},
): string {
  const input = [header, claims].map((part) => encode(JSON.stringify(part))).join('.');
  return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`;
}

/** The claims of a token that is accepted for an hour from `nowMs` on. */
export function validClaims(nowMs: number = Date.now()): Record<string, unknown> {
  const iat = Math.floor(nowMs / 1000);
  return {
    iss: JWT_ISSUER,
    token_type: 'access',
    jti: randomUUID(),
    user_id: randomUUID(),
    iat,
    exp: iat + 3600,
  };
}

/** A token of a new user, or of these claims over those of one: undefined leaves a claim out. */
export function makeToken(claims: Readonly<Record<string, unknown>> = {}, options?: SigningOptions): string {
  return signToken({ ...validClaims(), ...claims }, options);
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64url');
}

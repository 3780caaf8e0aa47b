import { randomUUID } from 'node:crypto';
import type { Tokens } from './tokens.ts';

export interface TokenOptions {
  readonly userId: string;
  readonly isStaff?: boolean;
  /** How long the token is valid; an hour by default. */
  readonly ttlSeconds?: number;
}

/** Makes a user's token with the claims that `authenticate` asks for. @param now in milliseconds since 1970. */
export function issueToken(
  tokens: Pick<Tokens, 'sign'>,
  issuer: string,
  now: number,
  { userId, isStaff = false, ttlSeconds = 3600 }: TokenOptions,
): string {
  const iat = Math.floor(now / 1000);
  return tokens.sign({
    iss: issuer,
    token_type: 'access',
    jti: randomUUID(),
    user_id: userId,
    is_staff: isStaff,
    iat,
    exp: iat + ttlSeconds,
  });
}

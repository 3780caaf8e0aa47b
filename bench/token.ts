import { createHmac, randomUUID } from 'node:crypto';

/** Makes a user's token (RFC 7519, HS256) as the platform's authentication service would; valid for an hour. */
export function signToken(key: string, userId: string): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: 'https://ms1.auth-service.com',
    token_type: 'access',
    jti: randomUUID(),
    user_id: userId,
    iat: now,
    exp: now + 3600,
  };
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const content = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${content}.${createHmac('sha256', key).update(content).digest('base64url')}`;
}

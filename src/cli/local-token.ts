import { dirname } from 'node:path';
import Fastify from 'fastify';
import type { Config } from '../config.ts';
import { loadOrCreateKey } from '../local-keys.ts';
import { issueToken, type TokenOptions } from '../transports/issue-token.ts';
import { registerTokens } from '../transports/tokens.ts';

/** A token for a user, signed with the key that the service uses here. */
export async function localToken(config: Config, options: TokenOptions): Promise<string> {
  const key =
    config.JWT_SECRET_KEY ?? loadOrCreateKey(dirname(config.DATABASE_URL.file), 'jwt-secret-key').key;
  const tokens = await registerTokens(Fastify(), [key]);
  return issueToken(tokens, config.JWT_ISSUER, Date.now(), options);
}

import Fastify from 'fastify';
import type { Config } from '../config.ts';
import { loadOrCreateKey, localFolder } from '../local-keys.ts';
import { issueToken, type TokenOptions } from '../transports/issue-token.ts';
import { registerTokens } from '../transports/tokens.ts';

/** A token for a user, signed with the key that the service uses here. Says so where there was none yet. */
export async function localToken(config: Config, options: TokenOptions): Promise<string> {
  const tokens = await registerTokens(Fastify(), [config.JWT_SECRET_KEY ?? localKey(config)]);
  return issueToken(tokens, config.JWT_ISSUER, Date.now(), options);
}

function localKey(config: Config): string {
  const { key, file, created } = loadOrCreateKey(localFolder(config.DATABASE_URL), 'jwt-secret-key');
  if (created) {
    process.stderr.write(
      `A key was made in ${file}: only a service with the same DATABASE_URL takes this token.\n`,
    );
  }
  return key;
}

import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import Fastify from 'fastify';
import { ConfigError, parseConfig, parseDuration } from '../config.ts';
import { loadOrCreateKey } from '../local-keys.ts';
import { issueToken } from '../transports/issue-token.ts';
import { registerTokens } from '../transports/tokens.ts';
import { parseUuid } from '../uuid.ts';

const USAGE = 'usage: npm run token -- --user UUID [--staff] [--ttl 1h]';

// Prints a token for a user, signed with the key that the service uses here.
try {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const { values } = parseArgs({
    options: { user: { type: 'string' }, staff: { type: 'boolean' }, ttl: { type: 'string', default: '1h' } },
  });
  const userId = parseUuid(values.user);
  const ttlMs = parseDuration(values.ttl);
  if (userId === undefined || !ttlMs)
    throw new Error('--user must be a UUID, and --ttl a duration such as 1h');

  const config = parseConfig(process.env);
  const key =
    config.JWT_SECRET_KEY ?? loadOrCreateKey(dirname(config.DATABASE_URL.file), 'jwt-secret-key').key;
  const tokens = await registerTokens(Fastify(), [key]);
  const token = issueToken(tokens, config.JWT_ISSUER, Date.now(), {
    userId,
    isStaff: values.staff === true,
    ttlSeconds: Math.max(1, Math.round(ttlMs / 1000)),
  });
  process.stdout.write(`${token}\n`);
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(
    error instanceof ConfigError ? `Configuration: ${message}\n` : `${message}\n${USAGE}\n`,
  );
  process.exitCode = 1;
}

import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ConfigError, parseConfig, parseDuration } from '../config.ts';
import { parseUuid } from '../uuid.ts';
import { localToken } from './local-token.ts';

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

  const token = await localToken(parseConfig(process.env), {
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

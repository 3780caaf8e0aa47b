import { existsSync } from 'node:fs';
import { ConfigError, parseConfig } from '../config.ts';
import { openDatabase } from '../db/open-database.ts';

// Brings the database of DATABASE_URL to the current schema, for services that are started with MIGRATE=off. Running it
// again, or several at the same time, does no harm.
try {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const config = parseConfig(process.env);
  const database = await openDatabase(config.DATABASE_URL, {
    poolSize: 1,
    timeoutMs: config.DATABASE_TIMEOUT,
    migrate: true,
    logFault: () => {},
  });
  try {
    await database.check();
  } finally {
    await database.close();
  }
  process.stdout.write('The database has the current schema.\n');
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(
    error instanceof ConfigError
      ? `Configuration: ${message}\n`
      : `The database could not be migrated: ${message || reasonOf(error)}\n`,
  );
  process.exitCode = 1;
}

/** Where several addresses were tried in vain, there is a code alone. */
function reasonOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'no reason given';
}

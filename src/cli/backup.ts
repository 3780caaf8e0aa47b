import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ConfigError, parseConfig } from '../config.ts';
import { backUp } from '../db/sqlite/back-up.ts';

const USAGE =
  'usage: npm run backup -- FILE [--force]\n' +
  'Copies the SQLite database of the settings (DATABASE_URL) to FILE, while the service runs. --force replaces FILE.';

const KEY_REMARK =
  'The key that its secrets are encrypted with (ENCRYPTION_KEY, or the file encryption-key beside the database) is not\n' +
  'in it: keep that too, in another place.';

/** How often it is said how far the copy has come, in milliseconds. */
const PROGRESS_MS = 2000;

// Copies the database while it is in use.
try {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { force: { type: 'boolean' }, help: { type: 'boolean' } },
  });
  const [file] = positionals;
  if (values.help || file === undefined || positionals.length > 1)
    throw new Error(`Name one FILE.\n${USAGE}`);
  const { DATABASE_URL: url } = parseConfig(process.env);
  if (url.dialect !== 'sqlite') {
    throw new ConfigError('DATABASE_URL is a PostgreSQL server; copy it with pg_dump --format=custom');
  }
  let saidAt = performance.now();
  const bytes = await backUp(url.file, file, {
    force: values.force,
    onProgress: (copied, total) => {
      if (performance.now() - saidAt < PROGRESS_MS) return;
      saidAt = performance.now();
      process.stderr.write(`${Math.floor((100 * copied) / total)} %\n`);
    },
  });
  process.stdout.write(`${file}: ${bytes} bytes, checked.\n${KEY_REMARK}\n`);
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${error instanceof ConfigError ? 'Configuration: ' : ''}${message}\n`);
  process.exitCode = 1;
}

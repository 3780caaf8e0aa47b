import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { clip } from '../clip.ts';
import { type Config, ConfigError, parseConfig } from '../config.ts';
import { openDatabase } from '../db/open-database.ts';
import { checkUrl } from '../egress/address-policy.ts';
import { createEncryption } from '../encryption.ts';
import { discoverTool } from '../execution/internal/discover.ts';
import { weatherTool } from '../execution/internal/weather.ts';
import { loadOrCreateKey, localFolder } from '../local-keys.ts';
import type { ToolsContext } from '../tools/context.ts';
import { type DjangoDatabase, openDjango } from '../tools/django/django-store.ts';
import { importRows, type RowOutcome, type RowStatus } from '../tools/django/import-rows.ts';
import { openRejectedFile } from '../tools/django/rejected-file.ts';

const USAGE =
  'usage: npm run import-django -- FILE [--rejected FILE] [--dry-run]\n' +
  'FILE is the SQLite database of the old service. Its tools go into the database of the settings (DATABASE_URL), with\n' +
  'the keys of the settings. Rows that cannot be tools here are kept in FILE.rejected.jsonl, or where --rejected says.\n' +
  'It may be run again: what is there already, or was changed here since, stays. --dry-run changes nothing.';

/** What the service calls the encryption key that it makes itself. */
const LOCAL_KEY = 'encryption-key';

/** How often it is said how far the import has come, in milliseconds. */
const PROGRESS_MS = 2000;

// Whoever reads may stop early.
process.stdout.on('error', () => process.exit());

// Moves the tools of the old service in.
try {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { rejected: { type: 'string' }, 'dry-run': { type: 'boolean' }, help: { type: 'boolean' } },
  });
  const [file] = positionals;
  if (values.help || file === undefined || positionals.length > 1)
    throw new Error(`Name one FILE.\n${USAGE}`);
  const config = parseConfig(process.env);
  using source = openDjango(file);
  refuseSameFile(config, file);
  const dryRun = values['dry-run'] === true;
  await moveIn(config, source, { rejectedFile: values.rejected ?? `${file}.rejected.jsonl`, dryRun });
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${error instanceof ConfigError ? 'Configuration: ' : ''}${message}\n`);
  process.exitCode = 1;
}

async function moveIn(
  config: Config,
  source: DjangoDatabase,
  { rejectedFile, dryRun }: { rejectedFile: string; dryRun: boolean },
): Promise<void> {
  using target = chooseTarget(config, dryRun);
  const database = await openDatabase(target.url, {
    poolSize: 2,
    timeoutMs: config.DATABASE_TIMEOUT,
    migrate: target.isScratch || (config.MIGRATE && !dryRun),
    logFault: () => {},
  });
  try {
    const context: ToolsContext = {
      database,
      encryption: createEncryption(config.ENCRYPTION_KEY ?? [localKey(config, dryRun)]),
      now: Date.now,
      checkUrl: (url) => checkUrl(url, config.EGRESS_ALLOW),
      internalFunctions: new Set([weatherTool.pointer, discoverTool.pointer]),
      limits: {
        toolsPerUser: config.MAX_TOOLS_PER_USER,
        definitionBytes: config.MAX_DEFINITION_BYTES,
        answerBytes: config.MAX_ANSWER_BYTES,
      },
    };
    using rejected = openRejectedFile(rejectedFile);
    const counts = new Map<RowStatus, number>();
    let done = 0;
    let saidAt = performance.now();
    const options = { builtins: [weatherTool, discoverTool], dryRun };
    for await (const outcome of importRows(context, source.rows(), options)) {
      counts.set(outcome.status, (counts.get(outcome.status) ?? 0) + 1);
      if (outcome.remark !== '') process.stdout.write(`${lineOf(outcome)}\n`);
      if (outcome.status === 'rejected' && !dryRun) rejected.add(outcome.row, outcome.remark);
      done++;
      if (performance.now() - saidAt < PROGRESS_MS) continue;
      saidAt = performance.now();
      process.stderr.write(`${done} of ${source.count} rows\n`);
    }
    rejected.finish();
    report(counts, { rejectedFile, dryRun });
  } finally {
    await database.close();
  }
}

function report(
  counts: ReadonlyMap<RowStatus, number>,
  { rejectedFile, dryRun }: { rejectedFile: string; dryRun: boolean },
): void {
  const summary = [...counts].map(([status, count]) => `${count} ${status}`).join(', ') || 'no rows';
  process.stdout.write(`${dryRun ? 'Would be: ' : ''}${summary}.\n`);
  const isRejected = counts.has('rejected');
  if (isRejected) process.exitCode = 1;
  if (isRejected && !dryRun) {
    process.stdout.write(`The rejected rows are in ${rejectedFile}; it may hold tokens in clear text.\n`);
  }
  if (counts.has('created') && !dryRun) {
    process.stdout.write('Each new tool is announced (tool.created) by a service that has RABBITMQ_URL.\n');
  }
}

function lineOf({ status, row, remark }: RowOutcome): string {
  const line = `${status.padEnd(9)} ${clip(String(row.id))} ${clip(String(row.name))} - ${clip(remark, 500)}`;
  // A stranger's text: nothing in it moves the cursor of a terminal, or turns the line's order round.
  return line.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ');
}

/** Where the tools go; a dry run without a database has one that is gone afterwards. */
function chooseTarget(config: Config, dryRun: boolean) {
  const url = config.DATABASE_URL;
  if (!dryRun || url.dialect !== 'sqlite' || existsSync(url.file)) {
    return { url, isScratch: false, [Symbol.dispose]: () => {} };
  }
  const folder = mkdtempSync(join(tmpdir(), 'tool-service-'));
  return {
    url: { dialect: 'sqlite', file: join(folder, 'tools.db') } as const,
    isScratch: true,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The key that the service has made here, or else one for it; for a dry run, where there is none, any key does. */
function localKey(config: Config, dryRun: boolean): Buffer {
  const folder = localFolder(config.DATABASE_URL);
  if (dryRun && !existsSync(join(folder, LOCAL_KEY))) return randomBytes(32);
  const { key, file, created } = loadOrCreateKey(folder, LOCAL_KEY);
  if (created) process.stderr.write(`A key was made in ${file}, since ENCRYPTION_KEY is not set.\n`);
  return Buffer.from(key, 'base64');
}

function refuseSameFile({ DATABASE_URL: url }: Config, file: string): void {
  if (url.dialect !== 'sqlite' || !existsSync(url.file)) return;
  if (realpathSync(url.file) === realpathSync(file)) {
    throw new ConfigError('DATABASE_URL is the file to import from');
  }
}

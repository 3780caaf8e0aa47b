import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Config, ConfigError, parseConfig } from '../config.ts';
import { parseUuid } from '../uuid.ts';
import { localToken } from './local-token.ts';

const USAGE =
  'usage: npm run import -- FILE [--user UUID | --token TOKEN] [--url http://127.0.0.1:8007]\n' +
  'FILE is JSON: functions, tools or an OpenAPI document, or {"document": …, "execution": …, "credentials": …}.\n' +
  'The token is --token, else one made here for --user, else the environment variable TOKEN. The service is at --url,\n' +
  'else where HOST and PORT say.';

interface Result {
  readonly name: string;
  readonly status: string;
  readonly errors: readonly string[];
  readonly notes: readonly string[];
}

// Whoever reads may stop early.
process.stdout.on('error', () => process.exit());

// Registers the tools of a file with the running service; says what became of each.
try {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      user: { type: 'string' },
      token: { type: 'string' },
      url: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  const [file] = positionals;
  if (values.help || file === undefined || positionals.length > 1) throw new Error('Name one FILE.');
  const config = parseConfig(process.env);
  const token =
    values.token ?? (values.user === undefined ? process.env.TOKEN : await tokenFor(config, values.user));
  if (!token) throw new Error('Give --user, --token or TOKEN.');
  const scheme = config.TLS_CERT_FILE === undefined ? 'http' : 'https';
  const url = values.url ?? `${scheme}://${config.HOST}:${config.PORT}`;
  const answer = await fetch(new URL('/ms7/api/v1/tools/import/', url), {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: readFileSync(file),
  });
  const text = await answer.text();
  if (answer.status !== 200) {
    // Between two tools: those before are registered, and left alone the next time.
    const advice =
      answer.status === 503 ? ' What was not reached is registered by importing the file again.' : '';
    throw new Error(`The service answered ${answer.status}: ${text}${advice}`);
  }
  report((JSON.parse(text) as { results: readonly Result[] }).results);
} catch (error) {
  process.stderr.write(`${faultOf(error)}\n`);
  process.exitCode = 1;
}

function report(results: readonly Result[]): void {
  const counts = new Map<string, number>();
  for (const { name, status, errors, notes } of results) {
    counts.set(status, (counts.get(status) ?? 0) + 1);
    const remarks = [...errors, ...notes].join(' ');
    const line = `${status.padEnd(9)} ${name}${remarks === '' ? '' : ` - ${remarks}`}`;
    // The document is a stranger's: nothing in it moves the cursor of a terminal.
    process.stdout.write(`${line.replace(/\p{Cc}/gu, ' ')}\n`);
  }
  const summary = [...counts].map(([status, count]) => `${count} ${status}`).join(', ');
  process.stdout.write(`${summary || 'The document has no tools.'}\n`);
  if (counts.has('refused')) process.exitCode = 1;
}

async function tokenFor(config: Config, user: string): Promise<string> {
  const userId = parseUuid(user);
  if (userId === undefined) throw new Error('--user must be a UUID.');
  return localToken(config, { userId, ttlSeconds: 60 });
}

function faultOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof ConfigError) return `Configuration: ${error.message}`;
  // fetch says why in the cause.
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return `${error.message}${cause}\n${USAGE}`;
}

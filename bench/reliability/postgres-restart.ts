import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { atMost, type Finding, formatFindings } from '../report.ts';
import { buildService, JWT_KEY, startServiceProcess } from '../service-process.ts';
import { percentile } from '../statistics.ts';
import { type Answer, startMixedLoad } from './mixed-load.ts';
import { hasPostgres, startOwnPostgres } from './own-postgres.ts';

// PostgreSQL is restarted, crashes and stops answering under reads and writes over REST and gRPC: every failure must be
// UNAVAILABLE or 503 and come in time, the service must be well again by itself, and nothing acknowledged may be lost.

const TIMEOUT_MS = 2000;
/** The driver waits half a second more than the server; the rest is the machine's. */
const ANSWER_LIMIT_MS = TIMEOUT_MS + 1000;
const RECOVERY_LIMIT_MS = 1500;
const USERS = 8;

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
const rounds = values.quick ? 1 : 5;
const normalMs = values.quick ? 1000 : 2000;
const awayMs = values.quick ? 500 : 2000;
const frozenMs = values.quick ? 4000 : 10_000;
const say = (words: string) => process.stderr.write(`${words}\n`);

if (!hasPostgres) {
  say('SKIPPED: there is no PostgreSQL to start here');
  process.exit(process.env.REQUIRE_SERVICES === '1' ? 1 : 0);
}
buildService();
await using postgres = await startOwnPostgres();
await using service = await startServiceProcess({
  databaseFile: '',
  settings: { DATABASE_URL: postgres.url, DATABASE_TIMEOUT: `${TIMEOUT_MS}ms` },
});
const load = startMixedLoad(service.origin, JWT_KEY, USERS);
const findings: Finding[] = [];

/** What is done to the server; each resolves when it takes connections again. */
const faults: Record<string, () => Promise<void>> = {
  'fast restart': () => restart('fast'),
  'immediate restart': () => restart('immediate'),
  'a killed backend': () => postgres.crash(),
  'all connections ended': async () => {
    await postgres.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tool-service'",
    );
  },
  'no answer': async () => {
    postgres.freeze();
    await sleep(frozenMs);
    postgres.thaw();
  },
};
for (const [name, fault] of Object.entries(faults)) {
  const failures: Answer[] = [];
  const recoveries: number[] = [];
  for (let round = 0; round < (name === 'no answer' ? Math.ceil(rounds / 2) : rounds); round++) {
    await sleep(normalMs);
    const from = load.answers.length;
    await fault();
    const backAt = performance.now();
    await sleep(normalMs);
    const since = load.answers.slice(from);
    failures.push(...since.filter(({ outcome }) => outcome !== 'ok'));
    recoveries.push(recoveryMs(since, backAt));
  }
  const times = failures.map(({ startedAt, endedAt }) => endedAt - startedAt);
  const others = failures.filter(({ outcome }) => outcome !== 'unavailable');
  for (const { outcome } of others.slice(0, 3)) say(`  ${outcome}`);
  findings.push(
    atMost(`${name}: failures of another kind`, others.length, 0, ''),
    atMost(`${name}: longest failure`, Math.max(0, ...times), ANSWER_LIMIT_MS, ' ms'),
    atMost(`${name}: last failure after the return`, Math.max(...recoveries), RECOVERY_LIMIT_MS, ' ms'),
  );
  say(`${name}: ${failures.length} unavailable, half of them within ${percentile(times, 0.5).toFixed(0)} ms`);
}
await load[Symbol.asyncDispose]();

const stored = new Set((await postgres.query('select id from tools')).map(({ id }) => String(id)));
const announced = new Set(
  (await postgres.query("select subject from outbox where type = 'tool.deleted'")).map(
    ({ subject }) => subject,
  ),
);
const normal = load.answers.filter(({ outcome }) => outcome === 'ok').map((a) => a.endedAt - a.startedAt);
findings.push(
  atMost(
    'acknowledged creations lost',
    count(load.kept, (id) => !stored.has(id)),
    0,
    '',
  ),
  atMost(
    'acknowledged deletions undone',
    count(load.deleted, (id) => stored.has(id)),
    0,
    '',
  ),
  atMost(
    'acknowledged deletions without event',
    count(load.deleted, (id) => !announced.has(id)),
    0,
    '',
  ),
  atMost(
    'events of what was not deleted',
    count(stored, (id) => announced.has(id)),
    0,
    '',
  ),
);
say(
  `${load.answers.length} calls, ${load.kept.size} tools kept, ${load.deleted.size} deleted; successful ones took ` +
    `p50 ${percentile(normal, 0.5).toFixed(1)} ms, p99 ${percentile(normal, 0.99).toFixed(1)} ms`,
);
process.stdout.write(`\n${formatFindings(findings, { verdicts: true })}\n`);
process.exitCode = findings.some(({ met }) => !met) ? 1 : 0;

async function restart(mode: 'fast' | 'immediate'): Promise<void> {
  await postgres.stop(mode);
  await sleep(awayMs);
  await postgres.start();
}

/** From the server's return until no call failed any more; infinite where none has succeeded since. */
function recoveryMs(answers: readonly Answer[], backAt: number): number {
  const after = answers.filter(({ startedAt }) => startedAt >= backAt);
  if (!after.some(({ outcome }) => outcome === 'ok')) return Number.POSITIVE_INFINITY;
  const failed = answers.filter(({ outcome }) => outcome !== 'ok').map(({ endedAt }) => endedAt - backAt);
  return Math.max(0, ...failed);
}

function count(ids: ReadonlySet<string>, isFault: (id: string) => boolean): number {
  return [...ids].filter(isFault).length;
}

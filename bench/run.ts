import { parseArgs } from 'node:util';
import { measureHostile, measureOverhead } from './calls.ts';
import { startChild } from './child.ts';
import { fullEffort, quickEffort } from './effort.ts';
import type { LoadJob, LoadResult } from './load-job.ts';
import { measureRates, type ScenarioName, scenarios } from './rates.ts';
import { type Finding, formatFindings } from './report.ts';
import { seedDatabase } from './seed.ts';
import { buildService } from './service-process.ts';
import { measureStartup } from './startup.ts';
import { measureHanging, measureWebhooks } from './webhooks.ts';

// `npm run bench`: measures the built service beside peers that have no work to do, on this machine and at the same
// time, so that the ratios mean something where the machine does not. Everything listens on loopback.

const scenarioNames = Object.keys(scenarios) as ScenarioName[];
const names = ['startup', ...scenarioNames, 'webhooks', 'hanging', 'overhead', 'hostile'] as const;

const USAGE = `npm run bench -- [--quick] [--only NAME[,NAME...]]

  --quick  less than a minute, without verdicts: to see that it works
  --only   some of: ${names.join(', ')}
`;

/** What the arguments ask for; undefined when they are not understood. */
function readArguments(): { quick: boolean; only: ReadonlySet<string> } | undefined {
  try {
    const { values } = parseArgs({
      options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } },
    });
    const only = values.only?.split(',') ?? names;
    if (only.some((name) => !names.some((known) => known === name))) return undefined;
    return { quick: values.quick, only: new Set(only) };
  } catch {
    return undefined;
  }
}

async function run({ quick, only }: { quick: boolean; only: ReadonlySet<string> }): Promise<void> {
  const effort = quick ? quickEffort : fullEffort;
  const say = (words: string) => process.stderr.write(`${words}\n`);
  const start = performance.now();

  say('building the service');
  buildService();
  say(`storing ${effort.users * 10} tools of ${effort.users} users`);
  const small = await seedDatabase(1);
  const large = await seedDatabase(effort.users);
  await using load = await startChild<LoadJob, LoadResult>(new URL('./load.ts', import.meta.url));

  const findings: Finding[] = [];
  if (only.has('startup')) {
    say('starting the service, over and over');
    findings.push(...(await measureStartup(effort, { small, large })));
  }
  const wanted = scenarioNames.filter((name) => only.has(name));
  if (wanted.length > 0) {
    say(`calls: ${wanted.join(', ')}`);
    const rates = await measureRates(wanted, effort, load, { small, large });
    process.stdout.write(`\n${rates.table}\n\n`);
    findings.push(...rates.findings);
  }
  if (only.has('webhooks')) {
    say('webhooks of 100 ms');
    findings.push(...(await measureWebhooks(effort, load, small)));
  }
  if (only.has('hanging')) {
    say('hanging webhooks');
    findings.push(...(await measureHanging(effort, load, small)));
  }
  if (only.has('overhead')) {
    say('calls beside bare undici');
    findings.push(...(await measureOverhead(effort, small)));
  }
  if (only.has('hostile')) {
    say('200 hostile upstreams');
    findings.push(...(await measureHostile(small)));
  }
  process.stdout.write(`\n${formatFindings(findings, { verdicts: !quick })}\n`);
  say(`\n${Math.round((performance.now() - start) / 1000)} s`);
}

const wanted = readArguments();
if (!wanted) {
  process.stderr.write(USAGE);
  process.exit(2);
}
await run(wanted);
process.exit(0);

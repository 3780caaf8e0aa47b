import { parseArgs } from 'node:util';
import { type Child, startChild } from '../child.ts';
import type { PeerReady, PeerUsage } from '../peers/peer.ts';
import { type Finding, formatFindings, formatTable, show } from '../report.ts';
import { cpuMsOf, residentBytesOf } from '../resources.ts';
import { seedDatabase } from '../seed.ts';
import { buildService, startServiceProcess } from '../service-process.ts';
import { percentile } from '../statistics.ts';
import { type Outcome, openHttp1, openHttp2 } from './overload-clients.ts';
import type { OverloadJob, OverloadResult } from './overload-load.ts';
import { type Job, type Scenario, scenarios, type Target } from './overload-scenarios.ts';

// What the service does with ten times the calls that it can serve: how much of its peak it still answers in time, how soon
// it refuses the others, its memory, and how it recovers. Linux alone. The service, what calls it and what looks on (this
// process) share the machine: run it where nothing else does.
//
//   npx tsx bench/reliability/overload.ts [--quick] [--only NAME] [--factor 10] [--seconds 25]

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    factor: { type: 'string', default: '10' },
    seconds: { type: 'string' },
  },
});
const factor = Number(values.factor);
const overloadMs = Number(values.seconds ?? (values.quick ? 3 : 25)) * 1000;
const peakMs = values.quick ? 1500 : 5000;
const recoveryMs = 3000;

/** How long a client waits for an answer. One that comes later is worth nothing. */
const DEADLINE_MS = 1000;

/** Until the compiler has done its work, which is a matter of calls and not of time. */
const WARM_UP_CALLS = values.quick ? 1000 : 5000;
const WARM_UP_LIMIT_MS = 30_000;

/** How often the one who looks on asks, on a connection that nobody else uses. */
const PROBE_MS = 50;
const MEMORY_MS = 250;

type Load = Child<OverloadJob, OverloadResult>;

function startProbe(job: Job, port: number) {
  const times: Record<Outcome, number[]> = { answered: [], refused: [], failed: [], late: [] };
  const [request] = job.requests;
  if (!request) throw new Error('there is nothing to ask');
  const client = (job.protocol === 'http1' ? openHttp1 : openHttp2)({
    port,
    request,
    maxInFlight: 1,
    deadlineMs: DEADLINE_MS,
    mark: job.mark,
    onOutcome: (outcome, durationMs) => times[outcome].push(durationMs),
  });
  const timer = setInterval(() => client.send(), PROBE_MS);
  return {
    times,
    stop() {
      clearInterval(timer);
      client.close();
    },
  };
}

/** Memory of a process now and then, in MiB. */
function watchMemory(pid: number) {
  const samples: number[] = [];
  const timer = setInterval(() => samples.push(residentBytesOf(pid) / 1024 / 1024), MEMORY_MS);
  return { samples, stop: () => clearInterval(timer) };
}

const goodputOf = ({ outcomes, elapsedMs }: OverloadResult) => (outcomes.answered / elapsedMs) * 1000;

async function measure({ settings, prepare }: Scenario, load: Load, webhookPort: number) {
  const database = await seedDatabase(32);
  await using service = await startServiceProcess({
    databaseFile: database.file,
    settings: { EGRESS_ALLOW: `127.0.0.1:${webhookPort}`, ...settings },
  });
  const { closed, open } = await prepare(service.origin, database, `http://127.0.0.1:${webhookPort}`);
  const port = Number(new URL(service.origin).port);
  const ask = async (job: Job, durationMs: number, rate?: number) => {
    const cpuBefore = cpuMsOf(service.pid);
    const limits = { port, durationMs, deadlineMs: DEADLINE_MS };
    const result = await load.ask({ ...job, ...limits, ...(rate === undefined ? {} : { rate }) });
    return { ...result, cpuMs: cpuMsOf(service.pid) - cpuBefore };
  };

  const warmUpEnd = performance.now() + WARM_UP_LIMIT_MS;
  for (let calls = 0; calls < WARM_UP_CALLS && performance.now() < warmUpEnd; ) {
    calls += (await ask(closed, 500)).outcomes.answered;
  }
  const before = await ask(closed, peakMs);
  const memory = watchMemory(service.pid);
  const probe = startProbe(open, port);
  const overload = await ask(open, overloadMs, goodputOf(before) * factor);
  probe.stop();
  const recovery = await ask(open, recoveryMs, goodputOf(before) / 2);
  const after = await ask(closed, peakMs);
  memory.stop();
  return { phases: { before, overload, recovery, after }, probe: probe.times, memory: memory.samples };
}

type Measured = Awaited<ReturnType<typeof measure>>;

function print(title: string, { phases, probe, memory }: Measured): void {
  const headings = ['', 'offered', 'kept back', 'answered', 'refused', 'late', 'failed', 'CPU %'];
  const rows = Object.entries(phases).map(
    ([phase, { offered, keptBack, outcomes, elapsedMs, ...result }]) => {
      const { answered, refused, late, failed } = outcomes;
      const rates = [offered, keptBack, answered, refused, late, failed].map((count) =>
        ((count / elapsedMs) * 1000).toFixed(0),
      );
      const { answeredMs, refusedMs } = result;
      const times = [answeredMs.p50, answeredMs.p99, refusedMs.p50, refusedMs.p99].map((time) => show(time));
      return [phase, ...rates, ((result.cpuMs / elapsedMs) * 100).toFixed(0), ...times];
    },
  );
  const times = ['answered p50', 'p99 ms', 'refused p50', 'p99 ms'];
  process.stdout.write(`\n${title}; calls a second\n${formatTable([...headings, ...times], rows)}\n`);
  const counts = Object.entries(probe).map(([outcome, durations]) => `${durations.length} ${outcome}`);
  const [first = Number.NaN] = memory;
  process.stdout.write(
    `who looked on: ${counts.join(', ')}\n` +
      `memory in MiB: ${[first, ...[0.5, 1].map((share) => percentile(memory, share)), memory.at(-1) ?? 0].map((size) => size.toFixed(0)).join(', ')} (first, median, most, last)\n` +
      `answered ÷ peak by half second: ${byHalfSecond(phases.overload, peakOf(phases))}\n` +
      `then, at half of the peak:      ${byHalfSecond(phases.recovery, peakOf(phases))}\n`,
  );
}

const peakOf = ({ before, after }: Measured['phases']) => (goodputOf(before) + goodputOf(after)) / 2;

function byHalfSecond({ answeredByHalfSecond }: OverloadResult, peak: number): string {
  return Array.from(answeredByHalfSecond, (count = 0) => ((2 * count) / peak).toFixed(1)).join(' ');
}

function judge({ phases, probe, memory }: Measured): Record<Target, Finding> {
  const share = goodputOf(phases.overload) / peakOf(phases);
  // What the same time of the CPU would have given: where other processes take more of it meanwhile, that tells more.
  const perCpu = ({ outcomes, cpuMs }: { outcomes: Record<Outcome, number>; cpuMs: number }) =>
    outcomes.answered / cpuMs;
  const cpuShare = perCpu(phases.overload) / ((perCpu(phases.before) + perCpu(phases.after)) / 2);
  const refusedP50 = percentile(probe.refused, 0.5);
  const refusedP99 = percentile(probe.refused, 0.99);
  // A heap finds its size in the first seconds; one that leaks goes on from there.
  const middle = Math.floor(memory.length / 2);
  const growth = percentile(memory.slice(middle), 0.5) / percentile(memory.slice(middle / 2, middle), 0.5);
  const recovered = (phases.recovery.answeredByHalfSecond[3] ?? 0) / (goodputOf(phases.before) / 4);
  return {
    goodput: {
      name: 'goodput ÷ peak, by the clock and by CPU time',
      measured: `${show(share)} and ${show(cpuShare)}`,
      target: 'one ≥ 0.8',
      met: Math.max(share, cpuShare) >= 0.8,
    },
    refusals: {
      name: 'a refusal, as one who looks on sees it, p50 and p99',
      measured: probe.refused.length === 0 ? 'none' : `${show(refusedP50)} and ${show(refusedP99)} ms`,
      target: 'p50 ≤ 50 ms',
      met: !(refusedP50 > 50),
    },
    memory: {
      name: 'memory, second half ÷ second quarter, medians',
      measured: show(growth),
      target: '≤ 1.2',
      met: growth <= 1.2,
    },
    recovery: {
      name: 'answered in the fourth half second after, of what is offered',
      measured: show(recovered),
      target: '≥ 0.9',
      met: recovered >= 0.9,
    },
  };
}

await using webhook = await startChild<'usage', PeerUsage>(new URL('../peers/webhook.ts', import.meta.url));
buildService();
await using load = await startChild<OverloadJob, OverloadResult>(
  new URL('./overload-load.ts', import.meta.url),
);
for (const [name, scenario] of Object.entries(scenarios)) {
  if (values.only !== undefined && values.only !== name) continue;
  const measured = await measure(scenario, load, (webhook.ready as PeerReady).port);
  print(scenario.title, measured);
  const findings = judge(measured);
  process.stdout.write(`${formatFindings(Object.values(findings), { verdicts: !values.quick })}\n`);
  if (!values.quick && scenario.claims.some((target) => !findings[target].met)) process.exitCode = 1;
}

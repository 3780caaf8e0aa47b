import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startTcpProxy } from '../../src/testing/tcp-proxy.ts';
import { atMost, type Finding, formatFindings } from '../report.ts';
import { makeScratchFolder } from '../scratch.ts';
import { buildService, JWT_KEY, startServiceProcess } from '../service-process.ts';
import { percentile } from '../statistics.ts';
import { type EventListener, listenForEvents } from './event-listener.ts';
import { hasRabbitmq, startOwnRabbitmq } from './own-rabbitmq.ts';
import { createWriteLoad, type WriteLoad } from './write-load.ts';

// The broker goes away under writes, in every way that a broker does, and comes back: no event may be lost, writes may not
// be slower, and what has waited must be gone soon.

const PER_SECOND = 100;
/** How long the backlog may take after the broker's return, in milliseconds, and how long it is waited for at most. */
const BACKLOG_LIMIT_MS = 10_000;
const GIVE_UP_MS = 60_000;
const EVENTS = ['tool.created', 'tool.deleted'];

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
const outageMs = values.quick ? 3000 : 60_000;
const normalMs = values.quick ? 2000 : 20_000;
const say = (words: string) => process.stderr.write(`${words}\n`);

if (!hasRabbitmq) {
  say('SKIPPED: there is no rabbitmq-server to start here');
  process.exit(process.env.REQUIRE_SERVICES === '1' ? 1 : 0);
}
buildService();
await using rabbitmq = await startOwnRabbitmq();
await using proxy = await startTcpProxy(rabbitmq.port);
await using service = await startServiceProcess({
  databaseFile: join(makeScratchFolder(), 'tools.db'),
  settings: { RABBITMQ_URL: `amqp://guest:guest@127.0.0.1:${proxy.port}` },
});
await using load = createWriteLoad(service.origin, JWT_KEY);
const findings: Finding[] = [];

say('nobody listens yet: events have no route');
await load.run({ perSecond: PER_SECOND, forMs: 1000 });
const unheard = { created: load.created.size, deleted: load.deleted.size };
await using listener = await listenForEvents(rabbitmq.url, EVENTS);
findings.push(
  // The route is looked for every 30 s at most.
  atMost('events without a route come once there is one, after', await msUntilAllCame(), 35_000, ' ms'),
);
say(`${unheard.created + unheard.deleted} of them`);

const normal: number[] = [];
const outages = {
  stopped: { begin: rabbitmq.stop, end: rabbitmq.start },
  refused: modes('refuse'),
  reset: modes('reset'),
  stalled: modes('stall'),
  'confirms swallowed': modes('swallow'),
};
for (const [name, { begin, end }] of Object.entries(outages)) {
  say(name);
  const before = await load.run({ perSecond: PER_SECOND, forMs: normalMs });
  normal.push(...before);
  const [, during] = await Promise.all([begin(), load.run({ perSecond: PER_SECOND, forMs: outageMs })]);
  await end();
  const backlogMs = await msUntilAllCame();
  const slower = percentile(during, 0.99) / percentile(before, 0.99);
  findings.push(
    atMost(`${name}: backlog gone after the return in`, backlogMs, BACKLOG_LIMIT_MS, ' ms'),
    atMost(`${name}: p99 of writes ÷ normal`, slower, 1.2, ' x'),
  );
  say(`  p50 ${ms(before, 0.5)} -> ${ms(during, 0.5)}, p99 ${ms(before, 0.99)} -> ${ms(during, 0.99)}`);
}
const lost = missing(load, listener);
findings.push(
  atMost('events lost', lost, 0, ''),
  atMost('writes that failed', load.faults.length, 0, ''),
  atMost('events of what was not deleted', unfounded(load, listener), 0, ''),
);
const twice = EVENTS.flatMap((key) => [...listener.of(key).values()]).filter((count) => count > 1).length;
say(`${load.created.size} created, ${load.deleted.size} deleted; ${twice} events came more than once`);
for (const fault of new Set(load.faults)) {
  say(`${load.faults.filter((each) => each === fault).length} times: ${fault}`);
}
process.stdout.write(`\n${formatFindings(findings, { verdicts: true })}\n`);
const isLost = lost > 0 || load.faults.length > 0;
process.exitCode = isLost || findings.some(({ met }) => !met && !values.quick) ? 1 : 0;

function modes(mode: 'refuse' | 'reset' | 'stall' | 'swallow') {
  return { begin: () => proxy.setMode(mode), end: () => proxy.setMode('pass') };
}

/** Waits until the event of every change that was acknowledged has come. */
async function msUntilAllCame(): Promise<number> {
  const start = performance.now();
  while (missing(load, listener) > 0) {
    if (performance.now() - start > GIVE_UP_MS) return Number.POSITIVE_INFINITY;
    await sleep(20);
  }
  return performance.now() - start;
}

function missing({ created, deleted }: WriteLoad, events: EventListener): number {
  const [ofCreated, ofDeleted] = [events.of('tool.created'), events.of('tool.deleted')];
  return (
    [...created].filter((id) => !ofCreated.has(id)).length +
    [...deleted].filter((id) => !ofDeleted.has(id)).length
  );
}

function unfounded({ deleted, faults }: WriteLoad, events: EventListener): number {
  if (faults.length > 0) return 0;
  return [...events.of('tool.deleted').keys()].filter((id) => !deleted.has(id)).length;
}

function ms(times: readonly number[], share: number): string {
  return `${percentile(times, share).toFixed(1)} ms`;
}

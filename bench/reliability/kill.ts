import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeScratchFolder } from '../scratch.ts';
import { buildService, type ServiceProcess, startServiceProcess } from '../service-process.ts';
import { median } from '../statistics.ts';
import { createChanger, type TrackedTool } from './changes.ts';
import { listenForEvents } from './event-listener.ts';
import { verify } from './verify.ts';

// kill -9 at a random moment, again and again, on one SQLite database that many write to meanwhile:
// `npx tsx bench/reliability/kill.ts [--rounds 200] [--quick] [--workers 2] [--broker]`. Nothing that was acknowledged may be
// lost, nothing may be half done, and the service must be ready again soon. With --broker (RABBITMQ_URL, or the local one)
// each deletion must also be heard of. Exits 1 when something is wrong.

const numberAfter = (flag: string, fallback: number) => {
  const index = process.argv.indexOf(flag);
  return index < 0 ? fallback : Number(process.argv[index + 1]);
};
const rounds = numberAfter('--rounds', process.argv.includes('--quick') ? 10 : 200);
const workers = numberAfter('--workers', 1);
const rabbitmqUrl = process.argv.includes('--broker')
  ? (process.env.RABBITMQ_URL ?? 'amqp://guest:guest@127.0.0.1:5672')
  : undefined;

/** The service is up for a random time between these when it is killed. */
const [SHORTEST_LIFE_MS, LONGEST_LIFE_MS] = [50, 1000];
/** From the start of the process until it is ready: the median, since others use the machine too. */
const READY_LIMIT_MS = 2000;
/** How long all deletions may take to be heard of, once nobody is killed any more. */
const DELIVERY_LIMIT_MS = 60_000;
const CHANGERS = 8;

const databaseFile = join(makeScratchFolder(), 'tools.db');
const settings = {
  ENCRYPTION_KEY: randomBytes(32).toString('base64'),
  WORKERS: String(workers),
  ...(rabbitmqUrl === undefined ? {} : { RABBITMQ_URL: rabbitmqUrl }),
};
const tools: TrackedTool[] = [];
const changers = Array.from({ length: CHANGERS }, (_, index) =>
  createChanger(index % 2 === 0 ? 'rest' : 'grpc', tools),
);
const faults: string[] = [];
const readyMs: number[] = [];
let acknowledged = 0;
let cutOff = 0;
let deleted = new Set<string>();

if (!process.argv.includes('--no-build')) buildService();
await using heard =
  rabbitmqUrl === undefined ? undefined : await listenForEvents(rabbitmqUrl, ['tool.deleted']);
const start = performance.now();
for (let round = 0; round < rounds && faults.length === 0; round++) {
  await using service = await startServiceProcess({
    databaseFile,
    settings,
  });
  readyMs.push(service.readyMs);
  check(round);
  const stopping = new AbortController();
  const running = changers.map((changer) => changer.run(service.origin, stopping.signal));
  await sleep(SHORTEST_LIFE_MS + Math.random() * (LONGEST_LIFE_MS - SHORTEST_LIFE_MS));
  await killAll(service);
  stopping.abort();
  for (const result of await Promise.allSettled(running)) {
    if (result.status === 'fulfilled') acknowledged += result.value;
    else faults.push(`a change was refused: ${String(result.reason)}`);
  }
  cutOff += tools.filter(({ allowed }) => allowed.length > 1).length;
}

{
  await using service = await startServiceProcess({
    databaseFile,
    settings,
  });
  readyMs.push(service.readyMs);
  check(rounds);
  if (heard) {
    const isHeard = () => [...deleted].every((id) => heard.of('tool.deleted').has(id));
    const deadline = performance.now() + DELIVERY_LIMIT_MS;
    while (!isHeard() && performance.now() < deadline) await sleep(50);
    const missing = [...deleted].filter((id) => !heard.of('tool.deleted').has(id)).length;
    if (missing > 0) faults.push(`${missing} deletions were never heard of`);
    const alive = tools.filter(({ id, allowed }) => id !== undefined && allowed[0] !== null);
    const untrue = alive.filter(({ id }) => heard.of('tool.deleted').has(id ?? '')).length;
    if (untrue > 0) faults.push(`${untrue} deletions were heard of that never were`);
  }
}
if (median(readyMs) > READY_LIMIT_MS) faults.push(`ready after ${median(readyMs).toFixed(0)} ms`);

const late = readyMs.filter((ms) => ms > READY_LIMIT_MS).length;
const seconds = (performance.now() - start) / 1000;
console.log(
  `${readyMs.length - 1} times kill -9 in ${seconds.toFixed(0)} s, ${workers} process(es), ${CHANGERS} at work`,
);
console.log(`changes acknowledged     ${acknowledged}`);
console.log(`cut off, either way      ${cutOff}`);
console.log(`tools created, deleted   ${tools.filter(({ id }) => id !== undefined).length}, ${deleted.size}`);
console.log(
  `start to ready ms        p50 ${median(readyMs).toFixed(0)}  longest ${Math.max(...readyMs).toFixed(0)}  over ${READY_LIMIT_MS}: ${late}`,
);
if (heard) {
  const ours = [...deleted].map((id) => heard.of('tool.deleted').get(id) ?? 0);
  const twice = ours.filter((count) => count > 1).length;
  console.log(
    `deletions heard of       ${ours.filter((count) => count > 0).length}, ${twice} of them more than once`,
  );
}
console.log(
  faults.length === 0 ? 'nothing lost, nothing half done' : `WRONG:\n${faults.slice(0, 20).join('\n')}`,
);
process.exitCode = faults.length === 0 ? 0 : 1;

function check(round: number): void {
  const found = verify(databaseFile, tools);
  faults.push(...found.faults.map((fault) => `after kill ${round}: ${fault}`));
  deleted = found.deleted;
}

/** Ends the service's processes as the kernel does when memory runs out, and waits until they are gone. */
async function killAll({ pid }: ServiceProcess): Promise<void> {
  const pids = [pid, ...childrenOf(pid)];
  for (const each of pids) process.kill(each, 'SIGKILL');
  while (pids.some(isAlive)) await sleep(1);
}

function childrenOf(pid: number): number[] {
  if (workers === 1) return [];
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean).map(Number);
}

function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

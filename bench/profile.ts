import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { packageRoot } from '../src/package-root.ts';
import { startChild } from './child.ts';
import { fullEffort } from './effort.ts';
import type { LoadJob, LoadResult } from './load-job.ts';
import { loadJob, type ScenarioName, scenarios } from './rates.ts';
import { formatTable } from './report.ts';
import { EXECUTE_PATH } from './requests.ts';
import { openScene, post } from './scene.ts';
import { makeScratchFolder } from './scratch.ts';
import { seedDatabase } from './seed.ts';
import { buildService, startServiceProcess } from './service-process.ts';

// `npx tsx bench/profile.ts NAME`: where the built service spends its time under one kind of call, in microseconds of
// a call, by package and by function. What is printed are functions' own times.

/** What V8 writes: a tree of call frames, and which of them was running at each sample. */
interface CpuProfile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: CallFrame }[];
  /** Microseconds of the monotonic clock. */
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  /** From 0, as the column. */
  readonly lineNumber: number;
  readonly columnNumber: number;
}

const monotonicMicroseconds = () => Number(process.hrtime.bigint() / 1000n);

async function record(name: ScenarioName, durationMs: number) {
  const folder = makeScratchFolder();
  const database = await seedDatabase(1);
  await using load = await startChild<LoadJob, LoadResult>(new URL('./load.ts', import.meta.url));
  await using service = await startServiceProcess({
    databaseFile: database.file,
    nodeArguments: profiling(folder),
  });
  await load.ask(loadJob(name, service.origin, database, fullEffort.warmUpMs * 2));
  const from = monotonicMicroseconds();
  const { calls } = await load.ask(loadJob(name, service.origin, database, durationMs));
  const to = monotonicMicroseconds();
  await service[Symbol.asyncDispose]();
  return { profile: readProfile(folder), calls, from, to };
}

/** As `record`, for tool calls of 100 ms, 200 in a request. */
async function recordCalls(durationMs: number) {
  const folder = makeScratchFolder();
  const database = await seedDatabase(1);
  await using scene = await openScene(database, { nodeArguments: profiling(folder) });
  await scene.register('slow', '/slow');
  const toolCalls = Array.from({ length: 200 }, (_, index) => ({
    id: String(index),
    name: 'slow',
    arguments: { query: 'heat', page: 1 },
  }));
  const run = () => post(`${scene.origin}${EXECUTE_PATH}`, scene.token, { tool_calls: toolCalls });
  for (let times = 0; times < 20; times++) await run();
  const from = monotonicMicroseconds();
  let calls = 0;
  for (const end = performance.now() + durationMs; performance.now() < end; calls += toolCalls.length) {
    await run();
  }
  const to = monotonicMicroseconds();
  await scene[Symbol.asyncDispose]();
  return { profile: readProfile(folder), calls, from, to };
}

const profiling = (folder: string) => ['--cpu-prof', '--cpu-prof-dir', folder, '--cpu-prof-interval', '250'];

function readProfile(folder: string): CpuProfile {
  const [file] = readdirSync(folder);
  if (file === undefined) throw new Error('the service wrote no profile');
  return JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile;
}

/** Own time of each call frame within a span, in microseconds; without the time when nothing ran. */
function ownTimes({ nodes, startTime, samples, timeDeltas }: CpuProfile, from: number, to: number) {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const times = new Map<CallFrame, number>();
  let time = startTime;
  for (const [index, id] of samples.entries()) {
    time += timeDeltas[index] ?? 0;
    const frame = frames.get(id);
    if (!frame || frame.functionName === '(idle)' || time < from || time > to) continue;
    times.set(frame, (times.get(frame) ?? 0) + (timeDeltas[index + 1] ?? 0));
  }
  return times;
}

const sourceMaps = new Map<string, SourceMap | undefined>();

function sourceMapOf(file: string): SourceMap | undefined {
  if (!sourceMaps.has(file)) {
    const map = `${file}.map`;
    const isMapped = file.startsWith(join(packageRoot, 'dist')) && existsSync(map);
    sourceMaps.set(file, isMapped ? new SourceMap(JSON.parse(readFileSync(map, 'utf8'))) : undefined);
  }
  return sourceMaps.get(file);
}

/** The package, or the folder of ours, that a frame is of, and where in it. */
function placeOf({ functionName, url, lineNumber, columnNumber }: CallFrame): {
  group: string;
  place: string;
} {
  const name = functionName || '(anonymous)';
  if (url.startsWith('node:')) return { group: 'node', place: `${name} ${url}:${lineNumber + 1}` };
  if (!url.startsWith('file:')) return { group: 'native, collector', place: name };
  const file = fileURLToPath(url);
  const entry = sourceMapOf(file)?.findEntry(lineNumber, columnNumber);
  if (entry && 'originalSource' in entry) {
    const source = relative(packageRoot, join(packageRoot, 'dist', entry.originalSource));
    const place = `${name} ${source}:${entry.originalLine + 1}`;
    return { group: source.split('/').slice(0, -1).join('/'), place };
  }
  const path = relative(packageRoot, file);
  const [, packageName = 'elsewhere'] =
    /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/.exec(path) ?? [];
  return { group: packageName, place: `${name} ${path.replace(/^node_modules\//, '')}:${lineNumber + 1}` };
}

function sumBy(times: ReadonlyMap<CallFrame, number>, key: 'group' | 'place'): [string, number][] {
  const sums = new Map<string, number>();
  for (const [frame, time] of times) {
    const at = placeOf(frame)[key];
    sums.set(at, (sums.get(at) ?? 0) + time);
  }
  return [...sums].sort(([, a], [, b]) => b - a);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '5' }, top: { type: 'string', default: '40' } },
});
const names = [...(Object.keys(scenarios) as ScenarioName[]), 'tool-calls'] as const;
const name = names.find((known) => known === positionals[0]);
if (!name) {
  process.stderr.write(`npx tsx bench/profile.ts ${names.join('|')} [--seconds 5] [--top 40]\n`);
  process.exit(2);
}
buildService();
const durationMs = Number(values.seconds) * 1000;
const { profile, calls, from, to } =
  name === 'tool-calls' ? await recordCalls(durationMs) : await record(name, durationMs);
const times = ownTimes(profile, from, to);
const total = [...times.values()].reduce((sum, time) => sum + time, 0);
process.stdout.write(`${name}: ${calls} calls, ${Math.round(total / calls)} µs of CPU each\n`);
for (const key of ['group', 'place'] as const) {
  const rows = sumBy(times, key)
    .slice(0, Number(values.top))
    .map(([at, time]) => [at, (time / calls).toFixed(1), `${((time / total) * 100).toFixed(1)}%`]);
  process.stdout.write(
    `\n${formatTable([key === 'group' ? 'package' : 'function', 'µs/call', 'share'], rows)}\n`,
  );
}
process.exit(0);

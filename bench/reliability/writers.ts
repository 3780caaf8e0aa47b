import { join } from 'node:path';
import { openSqlite } from '../../src/db/sqlite/open.ts';
import { startChild } from '../child.ts';
import { makeScratchFolder } from '../scratch.ts';
import { percentile } from '../statistics.ts';
import type { WriterJob, WriterResult } from './writer.ts';

// Several processes that write to one SQLite file: what they get done, how long one waits, and whether their event loops
// stand still meanwhile. `npx tsx bench/reliability/writers.ts [--processes 4] [--rate 100] [--seconds 10]`; a rate of 0
// means as much as goes.

const numberAfter = (flag: string, fallback: number) => {
  const index = process.argv.indexOf(flag);
  return index < 0 ? fallback : Number(process.argv[index + 1]);
};
const count = numberAfter('--processes', 4);
const rate = numberAfter('--rate', 100);
const durationMs = numberAfter('--seconds', 10) * 1000;

const file = join(makeScratchFolder(), 'tools.db');
await openSqlite(file).close();
const program = new URL('./writer.ts', import.meta.url);
const writers = await Promise.all(
  Array.from({ length: count }, () => startChild<WriterJob, WriterResult>(program)),
);
const results = await Promise.all(writers.map((writer) => writer.ask({ file, rate, durationMs })));
await Promise.all(writers.map((writer) => writer[Symbol.asyncDispose]()));

const written = results.reduce((sum, result) => sum + result.written, 0);
const refused = results.reduce((sum, result) => sum + result.refused, 0);
const waits = results.flatMap((result) => result.waitsMs);
const each = (value: (result: WriterResult) => number, digits = 0) =>
  results.map((result) => value(result).toFixed(digits)).join(' ');
console.log(`${count} processes, ${rate === 0 ? 'as many writes as go' : `${rate} writes/s each`}`);
console.log(`written/s        ${((written / durationMs) * 1000).toFixed(0)}   refused ${refused}`);
console.log(`by process       ${each((result) => result.written)}`);
console.log(
  `wait ms          p50 ${percentile(waits, 0.5).toFixed(1)}  p99 ${percentile(waits, 0.99).toFixed(1)}  longest ${percentile(waits, 1).toFixed(1)}`,
);
console.log(
  `event loop ms    p99 ${each((result) => result.loopP99Ms, 1)}  longest ${each((result) => result.loopMaxMs, 1)}`,
);
console.log(`CPU ms a write   ${each((result) => result.cpuMs / result.written, 2)}`);

import { randomUUID } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { openSqlite } from '../../src/db/sqlite/open.ts';
import { serveParent } from '../child.ts';

// One of several processes that write to the same SQLite file.

export interface WriterJob {
  readonly file: string;
  /** Transactions begun each second, evenly; 0 for as many as go, one after another. */
  readonly rate: number;
  readonly durationMs: number;
}

export interface WriterResult {
  readonly written: number;
  readonly refused: number;
  /** From asking for a transaction until it was committed, each, in milliseconds. */
  readonly waitsMs: readonly number[];
  readonly loopP99Ms: number;
  readonly loopMaxMs: number;
  readonly cpuMs: number;
}

async function write({ file, rate, durationMs }: WriterJob): Promise<WriterResult> {
  const database = openSqlite(file);
  const { outbox } = database.tables;
  const waitsMs: number[] = [];
  let refused = 0;
  const one = async () => {
    const asked = performance.now();
    try {
      await database.transaction(async (transaction) => {
        const event = { type: 'tool.updated', subject: 'subject', payload: '{}', createdAt: Date.now() };
        await transaction.insert(outbox).values({ id: randomUUID(), ...event });
      });
      waitsMs.push(performance.now() - asked);
    } catch {
      refused++;
    }
  };

  await one();
  waitsMs.length = 0;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const cpu = process.cpuUsage();
  const start = performance.now();
  const underWay: Promise<void>[] = [];
  for (let begun = 0; performance.now() - start < durationMs; ) {
    if (rate === 0) {
      await one();
    } else if (begun < ((performance.now() - start) * rate) / 1000) {
      begun++;
      underWay.push(one());
    } else {
      await sleep(1);
    }
  }
  await Promise.all(underWay);
  delay.disable();
  const { user, system } = process.cpuUsage(cpu);
  await database.close();
  return {
    written: waitsMs.length,
    refused,
    waitsMs,
    loopP99Ms: delay.percentile(99) / 1e6,
    loopMaxMs: delay.max / 1e6,
    cpuMs: (user + system) / 1000,
  };
}

serveParent(null, write);

import { setTimeout as sleep } from 'node:timers/promises';
import type { Effort } from './effort.ts';
import { atMost, type Finding } from './report.ts';
import { hasProc, residentBytesOf } from './resources.ts';
import type { SeededDatabase } from './seed.ts';
import { startServiceProcess } from './service-process.ts';
import { median } from './statistics.ts';

/** Measures how long the service takes from its start until it is ready, and the memory that it then holds. */
export async function measureStartup(
  { rounds, users }: Effort,
  databases: { small: SeededDatabase; large: SeededDatabase },
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [title, database] of [
    ['10 tools', databases.small],
    [`${users * 10} tools`, databases.large],
  ] as const) {
    const readyMs: number[] = [];
    const megabytes: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await using service = await startServiceProcess({ databaseFile: database.file });
      readyMs.push(service.readyMs);
      if (!hasProc) continue;
      await sleep(500);
      megabytes.push(residentBytesOf(service.pid) / 1e6);
    }
    findings.push(atMost(`start to ready, ${title}`, median(readyMs), 1500, ' ms'));
    if (hasProc) findings.push(atMost(`memory at rest, ${title}`, median(megabytes), 150, ' MB'));
  }
  return findings;
}

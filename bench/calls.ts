import { setTimeout as sleep } from 'node:timers/promises';
import { startChild } from './child.ts';
import type { Effort } from './effort.ts';
import type { PeerReady, PeerUsage } from './peers/peer.ts';
import { atMost, type Finding } from './report.ts';
import { EXECUTE_PATH } from './requests.ts';
import { residentBytesOf } from './resources.ts';
import { openScene, post } from './scene.ts';
import type { SeededDatabase } from './seed.ts';
import { median } from './statistics.ts';

/** What one request took: of the clock, and of the processor of the one who made the calls. */
interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
}

/**
 * Measures what running calls costs beside bare undici that makes the same ones: one at a time, and 200 of 100 ms at once.
 * Each side has an HTTP server before it; this one authenticates, checks, limits, logs and keeps a history too.
 */
export async function measureOverhead(
  { rounds, repetitions }: Effort,
  database: SeededDatabase,
): Promise<Finding[]> {
  await using scene = await openScene(database);
  await using peer = await startChild<'usage', PeerUsage>(
    new URL('./peers/undici-calls.ts', import.meta.url),
  );
  const bare = `http://127.0.0.1:${(peer.ready as PeerReady).port}/`;
  const peerCpuMs = async () => (await peer.ask('usage')).cpuMs;

  const findings: Finding[] = [];
  for (const [title, path, count, times] of [
    ['one call', '/echo', 1, 40 * repetitions],
    ['one call of 100 ms', '/slow', 1, 3 * repetitions],
    ['200 calls of 100 ms at once', '/slow', 200, 2 * repetitions],
  ] as const) {
    const name = `call_${count}_${path.slice(1)}`;
    await scene.register(name, path);
    const calls = Array.from({ length: count }, (_, index) => ({
      id: String(index),
      name,
      arguments: { query: 'heat', page: 1 },
    }));
    const ours = () =>
      measure(times, scene.cpuMs, () =>
        post(`${scene.origin}${EXECUTE_PATH}`, scene.token, { tool_calls: calls }),
      );
    const theirs = () =>
      measure(times, peerCpuMs, () => post(bare, '', { url: `${scene.webhookUrl}${path}`, count }));
    await ours();
    await theirs();
    const ratios: { wall: number; cpu: number }[] = [];
    for (let round = 0; round < rounds; round++) {
      const [own, other] = [await ours(), await theirs()];
      ratios.push({ wall: own.wallMs / other.wallMs, cpu: own.cpuMs / other.cpuMs });
    }
    const wall = median(ratios.map((ratio) => ratio.wall));
    const cpu = median(ratios.map((ratio) => ratio.cpu));
    findings.push(
      atMost(`${title}: time ÷ bare undici's`, wall, 1.15, ' ×'),
      atMost(`${title}: CPU ÷ bare undici's`, cpu, 2, ' ×'),
    );
  }
  return findings;
}

/** Measures the memory of the service while 200 endpoints that mean harm are called at once. */
export async function measureHostile(database: SeededDatabase): Promise<Finding[]> {
  await using scene = await openScene(database, { peer: new URL('./peers/hostile.ts', import.meta.url) });
  const kinds = ['drip', 'brim', 'endless', 'bomb', 'never'];
  for (const kind of kinds) await scene.register(kind, `/${kind}`);
  const calls = Array.from({ length: 200 }, (_, index) => ({
    id: String(index),
    name: kinds[index % kinds.length],
    arguments: { query: 'heat' },
    timeout_ms: 3000,
  }));
  let isOver = false;
  const running = post(`${scene.origin}${EXECUTE_PATH}`, scene.token, { tool_calls: calls }).finally(() => {
    isOver = true;
  });
  let most = 0;
  while (!isOver) {
    most = Math.max(most, residentBytesOf(scene.pid));
    await sleep(20);
  }
  await running;
  return [atMost('memory with 200 hostile upstreams', most / 2 ** 20, 300, ' MiB')];
}

async function measure(
  times: number,
  cpuMs: () => Promise<number>,
  work: () => Promise<unknown>,
): Promise<Cost> {
  const walls: number[] = [];
  const before = await cpuMs();
  for (let time = 0; time < times; time++) {
    const start = performance.now();
    await work();
    walls.push(performance.now() - start);
  }
  return { wallMs: median(walls), cpuMs: ((await cpuMs()) - before) / times };
}

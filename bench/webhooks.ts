import { setTimeout as sleep } from 'node:timers/promises';
import { create, toBinary } from '@bufbuild/protobuf';
import { ExecuteMultipleToolsRequestSchema } from '../src/gen/tool/tool_pb.ts';
import type { Effort } from './effort.ts';
import type { HttpRequest, LoadJob } from './load-job.ts';
import { type Load, loadJob } from './rates.ts';
import { atMost, type Finding, show } from './report.ts';
import { EXECUTE_PATH, grpcRequest } from './requests.ts';
import { openScene, post, type Scene } from './scene.ts';
import type { SeededDatabase } from './seed.ts';
import { median } from './statistics.ts';

/** The name of the tool with this number. */
const slowTool = (index: number) => `slow_${index}`;

/** Measures requests that run many webhooks of 100 ms each. */
export async function measureWebhooks(
  { repetitions }: Effort,
  load: Load,
  database: SeededDatabase,
): Promise<Finding[]> {
  await using scene = await openScene(database);
  for (let index = 0; index < 200; index++) await scene.register(slowTool(index), '/slow');

  const findings: Finding[] = [];
  for (const [count, limit] of [
    [20, 125],
    [200, 200],
  ] as const) {
    const calls = Array.from({ length: count }, (_, index) => ({
      id: String(index),
      name: slowTool(index),
      arguments: { query: 'heat', page: index + 1 },
    }));
    await expectAll(scene, calls, { status: 'success' });
    const message = create(ExecuteMultipleToolsRequestSchema, { userId: scene.userId, toolCalls: calls });
    const { p50Ms } = await load.ask(
      oneByOne(scene.origin, repetitions, {
        ...grpcRequest(
          'ExecuteMultipleTools',
          scene.token,
          toBinary(ExecuteMultipleToolsRequestSchema, message),
        ),
      }),
    );
    findings.push(atMost(`${count} webhooks of 100 ms in one request, p50`, p50Ms, limit, ' ms'));
  }
  findings.push(await measureLate(scene, load));
  return findings;
}

/** Measures a request of 500 calls that are answered at once but for one, which takes 2 s. */
async function measureLate(scene: Scene, load: Load): Promise<Finding> {
  await scene.register('quick', '/echo');
  await scene.register('late', '/late');
  const toolCalls = Array.from({ length: 500 }, (_, index) => ({
    id: String(index),
    name: index === 250 ? 'late' : 'quick',
    arguments: { query: 'heat', page: 1 },
  }));
  await expectAll(scene, toolCalls, { status: 'success' });
  const message = create(ExecuteMultipleToolsRequestSchema, { userId: scene.userId, toolCalls });
  const body = toBinary(ExecuteMultipleToolsRequestSchema, message);
  const { p50Ms } = await load.ask(
    oneByOne(scene.origin, 3, { ...grpcRequest('ExecuteMultipleTools', scene.token, body) }),
  );
  return {
    name: '500 calls of which one takes 2 s',
    measured: show(p50Ms, ' ms'),
    target: '2000 ± 100 ms',
    met: Math.abs(p50Ms - 2000) <= 100,
  };
}

/** Measures what one caller feels of ten webhooks of another that never answer. */
export async function measureHanging(
  { rounds, loadMs }: Effort,
  load: Load,
  database: SeededDatabase,
): Promise<Finding[]> {
  await using scene = await openScene(database);
  await scene.register('hanging', '/hang');
  const hangMs = loadMs + 500;
  const calls = Array.from({ length: 10 }, (_, index) => ({
    id: String(index),
    name: 'hanging',
    arguments: { query: 'heat' },
    timeout_ms: hangMs,
  }));
  const others = {
    ...loadJob('validate-tools', scene.origin, database, loadMs),
    connections: 2,
    callsPerConnection: 1,
  };

  await load.ask(others);
  const before: number[] = [];
  const during: number[] = [];
  for (let round = 0; round < rounds; round++) {
    before.push((await load.ask(others)).p99Ms);
    const hanging = expectAll(scene, calls, { status: 'error', error_code: 'timeout' });
    await sleep(100);
    during.push((await load.ask(others)).p99Ms);
    await hanging;
  }
  const [quiet, beside] = [median(before), median(during)];
  return [
    {
      name: "another caller's p99 beside 10 hanging webhooks",
      measured: `${show(beside, ' ms')} (before: ${show(quiet, ' ms')})`,
      target: '≤ 1.5 × or ≤ 5 ms',
      met: beside <= Math.max(5, 1.5 * quiet),
    },
  ];
}

/** Runs calls in one request and sees to it that each result is as expected. */
async function expectAll(
  { origin, token }: Scene,
  calls: readonly object[],
  expected: Readonly<Record<string, string>>,
): Promise<void> {
  const { results } = (await post(`${origin}${EXECUTE_PATH}`, token, { tool_calls: calls })) as {
    results: Record<string, unknown>[];
  };
  const other = results.find((result) =>
    Object.entries(expected).some(([key, value]) => result[key] !== value),
  );
  if (other || results.length !== calls.length) {
    throw new Error(`a call did not end as expected: ${JSON.stringify(other ?? results)}`);
  }
}

function oneByOne(origin: string, repetitions: number, request: HttpRequest): LoadJob {
  return {
    protocol: 'grpc',
    status: 200,
    origin,
    requests: [request],
    connections: 1,
    callsPerConnection: 1,
    durationMs: 60_000,
    maxCalls: repetitions,
  };
}

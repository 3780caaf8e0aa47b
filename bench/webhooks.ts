import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { create, toBinary } from '@bufbuild/protobuf';
import { ExecuteMultipleToolsRequestSchema } from '../src/gen/tool/tool_pb.ts';
import { startChild } from './child.ts';
import type { Effort } from './effort.ts';
import { sampleTools, webhookDefinition } from './examples.ts';
import type { HttpRequest, LoadJob } from './load-job.ts';
import type { PeerReady, PeerUsage } from './peers/peer.ts';
import { type Load, loadJob } from './rates.ts';
import { atMost, type Finding, show } from './report.ts';
import { EXECUTE_PATH, grpcRequest, TOOLS_PATH } from './requests.ts';
import type { SeededDatabase } from './seed.ts';
import { JWT_KEY, startServiceProcess } from './service-process.ts';
import { median } from './statistics.ts';
import { signToken } from './token.ts';

/** A service, a user, and somebody's endpoint that the user's tools call. */
interface Scene extends AsyncDisposable {
  readonly origin: string;
  readonly userId: string;
  readonly token: string;
  /** Registers a tool that calls the endpoint at this path. */
  register(name: string, path: string): Promise<void>;
}

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
  return findings;
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

async function openScene(database: SeededDatabase): Promise<Scene> {
  const webhook = await startChild<'usage', PeerUsage>(new URL('./peers/webhook.ts', import.meta.url));
  const { port } = webhook.ready as PeerReady;
  const service = await startServiceProcess({
    databaseFile: database.file,
    settings: { EGRESS_ALLOW: `127.0.0.1:${port}` },
  });
  const { origin } = service;
  const userId = randomUUID();
  const token = signToken(JWT_KEY, userId);
  const [tool] = sampleTools;
  if (!tool) throw new Error('the sample of tools is empty');
  return {
    origin,
    userId,
    token,
    async register(name, path) {
      const definition = webhookDefinition(tool, `http://127.0.0.1:${port}${path}`);
      await post(`${origin}${TOOLS_PATH}`, token, { name, definition });
    },
    async [Symbol.asyncDispose]() {
      await service[Symbol.asyncDispose]();
      await webhook[Symbol.asyncDispose]();
    },
  };
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

async function post(url: string, token: string, body: object): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  return response.json();
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

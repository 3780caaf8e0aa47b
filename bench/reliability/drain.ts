import { spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { packageRoot } from '../../src/package-root.ts';
import { isMissing } from '../../src/testing/services.ts';
import { makeTestDatabase } from '../../src/testing/test-database.ts';
import { TOOLS_PATH } from '../requests.ts';
import { adopt, end } from '../scratch.ts';
import { buildService, JWT_KEY } from '../service-process.ts';
import { percentile } from '../statistics.ts';
import { signToken } from '../token.ts';
import { type BackendProtocol, composeSetting, hasBalancer, startBalancer } from './balancer.ts';
import { startEcho, startLoad, type Tally } from './drain-load.ts';

// Shows that replicas behind the balancer of compose.yaml are replaced without the loss of a call: each in turn gets SIGTERM,
// ends, and starts again, under calls over REST, gRPC and Connect that never pause. Two replicas on PostgreSQL.
//
//   npx tsx bench/reliability/drain.ts [--stops 50] [--delay 3s] [--backend h2|h1]

/** Between a replica's first "ready" and the other's SIGTERM: what a balancer needs to hear of it, and load again. */
const PAUSE_MS = 1000;
const START_LIMIT_MS = 30_000;

/** A replica that can be stopped and started again on the same port. */
interface Replica extends AsyncDisposable {
  start(): Promise<void>;
  /** @returns the exit code, and how long it took in milliseconds. */
  stop(): Promise<{ code: number | null; durationMs: number }>;
}

function makeReplica(port: number, settings: Readonly<Record<string, string>>): Replica {
  let child: ReturnType<typeof spawn> | undefined;
  return {
    async start() {
      const started = spawn(process.execPath, ['--enable-source-maps', join('dist', 'main.js')], {
        cwd: packageRoot,
        stdio: ['ignore', 'ignore', 'inherit'],
        env: { PATH: process.env.PATH, NODE_ENV: 'production', PORT: String(port), ...settings },
      });
      child = started;
      adopt(started);
      const limit = performance.now() + START_LIMIT_MS;
      while (!(await isReady(port))) {
        if (started.exitCode !== null || performance.now() > limit)
          throw new Error('a replica did not start');
        await sleep(50);
      }
    },
    async stop() {
      if (!child) throw new Error('the replica was not started');
      const start = performance.now();
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      const [code] = (await exit) as [number | null];
      return { code, durationMs: performance.now() - start };
    },
    async [Symbol.asyncDispose]() {
      if (child) await end(child);
    },
  };
}

async function isReady(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`, { headers: { connection: 'close' } });
    await response.text();
    return response.status === 200;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function registerTool(url: string, token: string, name: string, hook: string): Promise<string> {
  const response = await fetch(`${url}${TOOLS_PATH}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      name,
      definition: {
        name,
        description: 'Answers what it is asked with.',
        parameters: { type: 'object', properties: { number: { type: 'integer' } } },
        execution: { type: 'webhook', url: hook },
      },
    }),
  });
  if (response.status !== 201) throw new Error(`the tool was not registered: ${await response.text()}`);
  return ((await response.json()) as { id: string }).id;
}

async function measure({
  stops,
  delay,
  backend,
}: {
  stops: number;
  delay: string;
  backend: BackendProtocol;
}) {
  const [port, first, second] = [await freePort(), await freePort(), await freePort()];
  const database = await makeTestDatabase('postgres');
  try {
    await using echo = await startEcho();
    const settings = {
      DATABASE_URL: database.url.dialect === 'postgres' ? database.url.url : '',
      JWT_SECRET_KEY: JWT_KEY,
      ENCRYPTION_KEY: randomBytes(32).toString('base64'),
      EGRESS_ALLOW: `127.0.0.1:${echo.port}`,
      TRUST_PROXY: '127.0.0.0/8',
      RATE_LIMIT_USER: 'off',
      LOG_LEVEL: 'warn',
      SHUTDOWN_DELAY: delay,
      SHUTDOWN_TIMEOUT: composeSetting('SHUTDOWN_TIMEOUT'),
    };
    await using one = makeReplica(first, settings);
    await using other = makeReplica(second, settings);
    const replicas = [one, other];
    await Promise.all(replicas.map((replica) => replica.start()));
    await using balancer = await startBalancer({ port, replicaPorts: [first, second], backend });
    await sleep(PAUSE_MS);

    const url = `http://127.0.0.1:${port}`;
    const token = signToken(JWT_KEY, randomUUID());
    const toolId = await registerTool(url, token, 'echo', `http://127.0.0.1:${echo.port}/`);
    const load = startLoad({ url, token, toolId, toolName: 'echo' });
    await sleep(PAUSE_MS);
    const inFlight: number[] = [];
    const stopMs: number[] = [];
    let badExits = 0;
    for (let count = 0; count < stops; count++) {
      const replica = replicas[count % 2];
      inFlight.push(load.tallies.reduce((sum, { underWay }) => sum + underWay, 0));
      const stopped = await replica?.stop();
      if (stopped?.code !== 0) badExits++;
      stopMs.push(stopped?.durationMs ?? Number.NaN);
      await replica?.start();
      await sleep(PAUSE_MS);
    }
    await load.stop();
    return { tallies: load.tallies, inFlight, stopMs, badExits, changes: balancer.changes };
  } finally {
    await database.remove();
  }
}

function print({ protocol, done, faults, durationsMs }: Tally): void {
  const figures = [0.5, 0.99, 1].map((share) => percentile(durationsMs, share).toFixed(0));
  process.stdout.write(
    `  ${protocol.padEnd(19)} ${done} calls, ${faults.length} failed; p50, p99, longest: ${figures.join(', ')} ms\n`,
  );
  for (const { at, words } of faults.slice(0, 5))
    process.stdout.write(`    at ${at.toFixed(0)} ms: ${words}\n`);
}

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    stops: { type: 'string' },
    delay: { type: 'string', default: composeSetting('SHUTDOWN_DELAY') },
    backend: { type: 'string', default: 'h2' },
  },
});
if (!hasBalancer()) {
  process.stderr.write('SKIPPED: there is no haproxy here\n');
  process.exitCode = process.env.REQUIRE_SERVICES === '1' ? 1 : 0;
} else if (!(await isMissing('postgres'))) {
  buildService();
  const backend: BackendProtocol = values.backend === 'h1' ? 'h1' : 'h2';
  const stops = Number(values.stops ?? (values.quick ? 4 : 50));
  const result = await measure({ stops, delay: values.delay, backend });
  const failed = result.tallies.reduce((sum, { faults }) => sum + faults.length, 0);
  const done = result.tallies.reduce((sum, tally) => sum + tally.done, 0);
  const flight = percentile(result.inFlight, 0.5);
  process.stdout.write(
    `${stops} SIGTERMs, SHUTDOWN_DELAY=${values.delay}, ${backend} to the replicas: ${failed} of ${done} calls failed\n` +
      `  calls in flight at a SIGTERM, median: ${flight}; a stop took ${percentile(result.stopMs, 0.5).toFixed(0)} ms, ` +
      `the longest ${percentile(result.stopMs, 1).toFixed(0)} ms; exits other than 0: ${result.badExits}\n`,
  );
  for (const tally of result.tallies) print(tally);
  if (failed > 0) process.stdout.write(`  The balancer's view:\n    ${result.changes.join('\n    ')}\n`);
  process.exitCode = failed + result.badExits === 0 ? 0 : 1;
}

import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { packageRoot } from '../src/package-root.ts';
import { cpuMsOf, hasProc } from './resources.ts';
import { adopt, end, makeScratchFolder } from './scratch.ts';

/** The key of the benchmarks' tokens. */
export const JWT_KEY = 'a key for benchmarks that has more than 32 bytes';

/** How long a start may take before it counts as failed, in milliseconds. */
const START_LIMIT_MS = 30_000;

/** The built service in a process of its own. */
export interface ServiceProcess extends AsyncDisposable {
  readonly origin: string;
  readonly pid: number;
  /** From the start of the process until /readyz answered 200, in milliseconds. */
  readonly readyMs: number;
  /** CPU time, user and system, that it has used so far, in milliseconds. */
  cpuMs(): Promise<number>;
}

/** Builds the service as `npm start` does. */
export function buildService(): void {
  execFileSync('npm', ['run', '--silent', 'build'], {
    cwd: packageRoot,
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  });
}

/**
 * Starts the built service as in production, on a free port. Its log goes to a file.
 *
 * @param options.settings environment variables, over those of the benchmarks. Nothing else of the environment counts.
 */
export async function startServiceProcess(options: {
  databaseFile: string;
  settings?: Readonly<Record<string, string>>;
  nodeArguments?: readonly string[];
}): Promise<ServiceProcess> {
  const logFile = join(makeScratchFolder(), 'service.log');
  const log = openSync(logFile, 'a');
  const start = performance.now();
  const child = spawn(process.execPath, [...(options.nodeArguments ?? []), join('dist', 'main.js')], {
    cwd: packageRoot,
    stdio: ['ignore', log, 'inherit'],
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'production',
      PORT: '0',
      DATABASE_URL: `file:${options.databaseFile}`,
      JWT_SECRET_KEY: JWT_KEY,
      ENCRYPTION_KEY: randomBytes(32).toString('base64'),
      RATE_LIMIT_USER: 'off',
      LOG_LEVEL: 'info',
      ...options.settings,
    },
  });
  adopt(child);
  closeSync(log);
  const { pid } = child;
  if (pid === undefined) throw new Error('the service could not be started');

  let origin: string | undefined;
  while (origin === undefined || (await statusOf(`${origin}/readyz`)) !== 200) {
    if (child.exitCode !== null || performance.now() - start > START_LIMIT_MS) {
      await end(child);
      throw new Error(`the service did not start; its log: ${readFileSync(logFile, 'utf8')}`);
    }
    if (origin === undefined) await sleep(3);
    origin ??= /"listening on (http[^"]+)"/.exec(readFileSync(logFile, 'utf8'))?.[1];
  }
  const readyMs = performance.now() - start;
  const { href } = new URL(origin);
  return {
    origin,
    pid,
    readyMs,
    cpuMs: async () => (hasProc ? cpuMsOf(pid) : cpuMsOfMetrics(await textOf(new URL('metrics', href)))),
    [Symbol.asyncDispose]: () => end(child),
  };
}

function cpuMsOfMetrics(metrics: string): number {
  return Number(/^process_cpu_seconds_total (\S+)/m.exec(metrics)?.[1]) * 1000;
}

function statusOf(url: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    get(url, { agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).on('error', () => resolve(undefined));
  });
}

async function textOf(url: URL): Promise<string> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.pathname} answered ${response.status}`);
  return response.text();
}

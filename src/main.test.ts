import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { connect } from 'node:http2';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packageRoot } from './package-root.ts';
import { startStubWebhook } from './testing/stub-webhook.ts';

let folder: string;
let started: ChildProcess[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tool-service-'));
  started = [];
});
afterEach(() => {
  for (const child of started) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** Runs the service as `npm start` does, but from its source. */
function run(settings: Record<string, string>, { detached = false } = {}) {
  const child = spawn(process.execPath, ['--import', 'tsx', join(packageRoot, 'src', 'main.ts')], {
    env: {
      PATH: process.env.PATH ?? '',
      PORT: '0',
      DATABASE_URL: `file:${join(folder, 'tools.db')}`,
      ...settings,
    },
    // Where no .env lies about.
    cwd: packageRoot,
    detached,
  });
  started.push(child);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const exit = once(child, 'close').then(([code]) => code as number | null);
  const printed = async (pattern: RegExp, stream: 'stdout' | 'stderr' = 'stdout') => {
    for (;;) {
      const match = pattern.exec(stream === 'stdout' ? stdout : stderr);
      if (match) return match;
      if (child.exitCode !== null) throw new Error(`ended before ${pattern}: ${stderr}`);
      await once(child[stream], 'data');
    }
  };
  return { child, exit, printed, output: () => ({ stdout, stderr }) };
}

describe('the process', () => {
  it('says where it listens, offers a token that works, logs JSON, and exits 0 on SIGTERM', async () => {
    const service = run({});
    const [, url = ''] = await service.printed(/listening on (http:\/\/127\.0\.0\.1:\d+)/);
    const [token] = await service.printed(/^ey\S+$/m, 'stderr');
    const curls = await service.printed(/^(curl .+\n){3}/m, 'stderr');
    expect(curls[0]).toContain(token);
    const response = await fetch(`${url}/ms7/api/v1/tools/`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(((await response.json()) as unknown[]).length).toBe(2);
    service.child.kill('SIGTERM');
    expect(await service.exit).toBe(0);
    const { stdout } = service.output();
    expect(stdout).not.toContain(token);
    for (const line of stdout.trim().split('\n')) expect(JSON.parse(line)).toHaveProperty('msg');
  });

  it.each([
    [{ PORT: 'x' }, /^Configuration: PORT .+\n$/],
    [{ NODE_ENV: 'production' }, /^Configuration: JWT_SECRET_KEY .+\n$/],
    [{ REDIS_URL: 'redis://:sek%ret@127.0.0.1' }, /^Configuration: REDIS_URL (?!.*sek).+\n$/],
  ])('exits 1 with one line for %j', async (settings, line) => {
    const service = run(settings);
    expect(await service.exit).toBe(1);
    expect(service.output()).toMatchObject({ stdout: '', stderr: expect.stringMatching(line) });
  });

  it('finishes a call in flight and says "not ready" meanwhile', async () => {
    let answer: () => void = () => {};
    let called: () => void = () => {};
    const inFlight = new Promise<void>((resolve) => {
      called = resolve;
    });
    await using webhook = await startStubWebhook((_, response) => {
      answer = () => response.end('"done"');
      called();
    });
    const service = run({ EGRESS_ALLOW: '127.0.0.1' });
    const [, url = ''] = await service.printed(/listening on (http:\/\/127\.0\.0\.1:\d+)/);
    const [token] = await service.printed(/^ey\S+$/m, 'stderr');
    const post = (path: string, body: object) =>
      fetch(url + path, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    const definition = {
      name: 'slow',
      description: 'Takes its time.',
      parameters: {},
      execution: { type: 'webhook', url: webhook.url },
    };
    expect((await post('/ms7/api/v1/tools/', { name: 'slow', definition })).status).toBe(201);
    const call = post('/ms7/api/v1/execute/', { tool_calls: [{ id: '1', name: 'slow' }] });
    await inFlight;
    service.child.kill('SIGTERM');
    await service.printed(/"stopping"/);
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
    answer();
    expect(await (await call).json()).toMatchObject({ results: [{ status: 'success', output: '"done"' }] });
    expect(await service.exit).toBe(0);
  });

  it('exits 0 within SHUTDOWN_TIMEOUT, whatever clients and tools hold open', async () => {
    let called: () => void = () => {};
    const inFlight = new Promise<void>((resolve) => {
      called = resolve;
    });
    await using webhook = await startStubWebhook(() => called());
    const service = run({ EGRESS_ALLOW: '127.0.0.1', SHUTDOWN_TIMEOUT: '300ms' });
    const [, url = ''] = await service.printed(/listening on (http:\/\/127\.0\.0\.1:\d+)/);
    const [token] = await service.printed(/^ey\S+$/m, 'stderr');
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const definition = {
      name: 'n',
      description: 'd',
      parameters: {},
      execution: { type: 'webhook', url: webhook.url },
    };
    await fetch(`${url}/ms7/api/v1/tools/`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ name: 'n', definition }),
    });
    const body = JSON.stringify({ tool_calls: [{ id: '1', name: 'n' }] });
    const call = fetch(`${url}/ms7/api/v1/execute/`, { method: 'POST', headers, body }).catch(
      () => 'cut off',
    );
    await inFlight;
    service.child.kill('SIGTERM');
    const start = performance.now();
    expect(await service.exit).toBe(0);
    expect(performance.now() - start).toBeLessThan(3000);
    expect(await call).toBe('cut off');
  });
});

describe('several processes on one port', () => {
  const alive = (pid: number) => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  /** The lines of the log that tell of a worker which serves. */
  const servingPids = ({ stdout }: { stdout: string }) =>
    [...stdout.matchAll(/"pid":(\d+),"msg":"a worker serves"/g)].map((match) => Number(match[1]));

  it('are announced once, share what they count, are replaced when they end, and stop together', async () => {
    const service = run({ WORKERS: '2', RATE_LIMIT_USER: '20/day' });
    const [, url = ''] = await service.printed(/listening on (http:\/\/127\.0\.0\.1:\d+)/);
    const [token] = await service.printed(/^ey\S+$/m, 'stderr');
    await service.printed(/(?:a worker serves[\s\S]*){2}/);
    const pids = servingPids(service.output());
    expect(new Set(pids).size).toBe(2);

    // Each on a connection of its own, which go to the processes in turn; some of HTTP/2.
    const list = `${url}/ms7/api/v1/tools/`;
    const headers = { authorization: `Bearer ${token}` };
    const statuses = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        index % 4 < 2 ? getHttp1(list, headers) : getHttp2(list, headers),
      ),
    );
    expect(statuses.filter((status) => status === 200)).toHaveLength(20);
    expect(statuses.filter((status) => status === 429)).toHaveLength(20);
    const count = async (status: number) => {
      const metrics = await (await fetch(`${url}/metrics`)).text();
      const lines = metrics.split('\n').filter((line) => line.includes(`status="${status}"`));
      return Number(
        lines
          .find((line) => line.includes('seconds_count'))
          ?.split(' ')
          .at(-1),
      );
    };
    // Counted when an answer has gone out, a moment after the client has it.
    await expect.poll(() => count(200)).toBe(20);
    await expect.poll(() => count(429)).toBe(20);

    process.kill(pids[0] ?? 0, 'SIGKILL');
    await service.printed(/a worker ended by itself/);
    await service.printed(/(?:a worker serves[\s\S]*){3}/);
    expect(await getHttp1(`${url}/readyz`)).toBe(200);

    service.child.kill('SIGTERM');
    expect(await service.exit).toBe(0);
    const { stdout, stderr } = service.output();
    expect(servingPids(service.output()).filter(alive)).toEqual([]);
    expect(stdout.match(/listening on/g)).toHaveLength(1);
    expect(stderr.match(/^ey\S+$/gm)).toHaveLength(1);
    expect(stdout).toContain('"worker":3');
    expect(stdout).not.toContain(token);
  }, 60_000);

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'finish calls in flight when %s comes to all of them',
    async (signal) => {
      let answer: () => void = () => {};
      let called: () => void = () => {};
      const inFlight = new Promise<void>((resolve) => {
        called = resolve;
      });
      await using webhook = await startStubWebhook((_, response) => {
        answer = () => response.end('"done"');
        called();
      });
      const service = run({ WORKERS: '2', EGRESS_ALLOW: '127.0.0.1' }, { detached: true });
      const [, url = ''] = await service.printed(/listening on (http:\/\/127\.0\.0\.1:\d+)/);
      const [token] = await service.printed(/^ey\S+$/m, 'stderr');
      await service.printed(/(?:a worker serves[\s\S]*){2}/);
      const post = (path: string, body: object) =>
        fetch(url + path, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: JSON.stringify(body),
        });
      const definition = {
        name: 'slow',
        description: 'Takes its time.',
        parameters: {},
        execution: { type: 'webhook', url: webhook.url },
      };
      expect((await post('/ms7/api/v1/tools/', { name: 'slow', definition })).status).toBe(201);
      const call = post('/ms7/api/v1/execute/', { tool_calls: [{ id: '1', name: 'slow' }] });
      await inFlight;
      // As Ctrl-C does, and systemd: a worker hears of it from the system and from the primary.
      process.kill(-(service.child.pid ?? 0), signal);
      await service.printed(/(?:"stopping"[\s\S]*){3}/);
      answer();
      expect(await (await call).json()).toMatchObject({ results: [{ status: 'success', output: '"done"' }] });
      expect(await service.exit).toBe(0);
      expect(service.output().stdout).not.toContain('a worker ended by itself');
    },
    60_000,
  );

  it('do not outlive the one that started them', async () => {
    const service = run({ WORKERS: '2' });
    const [, url = ''] = await service.printed(/listening on (http:\/\/127\.0\.0\.1:\d+)/);
    await service.printed(/(?:a worker serves[\s\S]*){2}/);
    service.child.kill('SIGKILL');
    await expect.poll(() => servingPids(service.output()).filter(alive), { timeout: 10_000 }).toEqual([]);
    await expect(fetch(url)).rejects.toThrow();
  }, 60_000);

  it('exit 1 with the one line of the first when it cannot start', async () => {
    const inUse = createServer().listen(0, '127.0.0.1');
    try {
      await once(inUse, 'listening');
      const { port } = inUse.address() as AddressInfo;
      const service = run({ WORKERS: '4', PORT: String(port) });
      expect(await service.exit).toBe(1);
      expect(service.output().stderr).toBe('Configuration: PORT is in use by another process\n');
      expect(servingPids(service.output())).toEqual([]);
    } finally {
      inUse.close();
    }
  }, 60_000);
});

/** The status of an answer on a connection of its own. */
function getHttp1(url: string, headers: Record<string, string> = {}): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false, headers }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode));
    }).once('error', reject);
  });
}

async function getHttp2(url: string, headers: Record<string, string> = {}): Promise<number | undefined> {
  const { origin, pathname } = new URL(url);
  const session = connect(origin);
  try {
    const stream = session.request({ ':path': pathname, ...headers }).resume();
    const [answer] = await once(stream, 'response');
    return (answer as { ':status'?: number })[':status'];
  } finally {
    session.close();
  }
}

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { adopt, makeScratchFolder } from '../scratch.ts';

/** How long a start may take, in milliseconds. */
const START_LIMIT_MS = 60_000;

/** A PostgreSQL server of this run alone, which can be treated badly. Close it by scope. */
export interface OwnPostgres extends AsyncDisposable {
  readonly url: string;
  /** Starts it, and resolves when it takes connections. */
  start(): Promise<void>;
  /** `fast` rolls back what is under way; `immediate` leaves all to the recovery at the next start. */
  stop(mode: 'fast' | 'immediate'): Promise<void>;
  /** Kills one of its processes, whereupon it begins anew by itself; resolves when it takes connections again. */
  crash(): Promise<void>;
  /** Stops all of its processes where they are. */
  freeze(): void;
  thaw(): void;
  query(text: string): Promise<Record<string, unknown>[]>;
}

const bin = findBin();

/** Whether there is one to start here. */
export const hasPostgres = bin !== undefined;

function findBin(): string | undefined {
  const versions = '/usr/lib/postgresql';
  const folders = existsSync(versions)
    ? readdirSync(versions).map((version) => join(versions, version, 'bin'))
    : [];
  return [...folders, '/usr/local/bin', '/usr/bin'].find((folder) => existsSync(join(folder, 'initdb')));
}

/** It refuses to run as root: then as its own user. */
function owner(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const idOf = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: idOf('-u'), gid: idOf('-g') };
}

/** Makes a server with an empty database on a free port, and starts it. */
export async function startOwnPostgres(): Promise<OwnPostgres> {
  if (bin === undefined) throw new Error('there is no PostgreSQL here');
  const folder = makeScratchFolder();
  const user = owner();
  const data = join(folder, 'data');
  mkdirSync(data);
  chmodSync(folder, 0o755);
  if (user) chownSync(data, user.uid, user.gid);
  const environment = { PATH: process.env.PATH, LANG: 'C' };
  const asUser = { ...user, cwd: data, env: environment };
  execFileSync(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'tools', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
    { ...asUser, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const port = await freePort();
  const url = `postgres://tools@127.0.0.1:${port}/postgres`;
  let server: ChildProcess | undefined;

  const query = async (text: string) => {
    const client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: 1000,
      query_timeout: 20_000,
    });
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(text)).rows;
    } finally {
      await client.end();
    }
  };
  const ready = async () => {
    const start = performance.now();
    for (;;) {
      const isThere = await query('select 1').then(
        () => true,
        () => false,
      );
      if (isThere) return;
      if (performance.now() - start > START_LIMIT_MS) throw new Error('PostgreSQL does not answer');
      await sleep(10);
    }
  };
  const family = () => (server?.pid === undefined ? [] : [...childrenOf(server.pid), server.pid]);
  const signal = (name: NodeJS.Signals) => {
    for (const pid of family()) process.kill(pid, name);
  };

  const own: OwnPostgres = {
    url,
    async start() {
      server = spawn(
        join(bin, 'postgres'),
        ['-D', data, '-h', '127.0.0.1', '-p', String(port), '-k', data, '-c', 'log_min_messages=panic'],
        { ...asUser, stdio: 'ignore' },
      );
      adopt(server);
      await ready();
    },
    async stop(mode) {
      if (!server || server.exitCode !== null || server.signalCode !== null) return;
      const exit = once(server, 'exit');
      server.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
      await exit;
    },
    async crash() {
      const [backend] = await query(
        "select pid from pg_stat_activity where application_name = 'tool-service' order by random() limit 1",
      );
      const before = await query('select pg_postmaster_start_time(), pg_backend_pid()');
      process.kill(Number(backend?.pid ?? before[0]?.pg_backend_pid), 'SIGKILL');
      await sleep(50);
      await ready();
    },
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    query,
    async [Symbol.asyncDispose]() {
      signal('SIGCONT');
      await own.stop('immediate');
    },
  };
  await own.start();
  return own;
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeScratchFolder } from '../scratch.ts';

const SERVER = '/usr/sbin/rabbitmq-server';
const START_LIMIT_MS = 90_000;
const STOP_LIMIT_MS = 30_000;

/** Whether a RabbitMQ can be started here. */
export const hasRabbitmq = isExecutable(SERVER);

/** A RabbitMQ of this run's own, which can be stopped and started again; what is durable stays. */
export interface OwnRabbitmq extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Makes room for a server on a free port of loopback, and starts it. */
export async function startOwnRabbitmq(): Promise<OwnRabbitmq> {
  const folder = makeScratchFolder();
  const port = await freePort();
  const pidFile = join(folder, 'pid');
  writeFileSync(
    join(folder, 'rabbitmq.conf'),
    `listeners.tcp.1 = 127.0.0.1:${port}\nlog.file.level = error\n`,
  );
  for (const name of ['mnesia', 'log']) mkdirSync(join(folder, name));
  for (const name of ['', 'mnesia', 'log']) chmodSync(join(folder, name), 0o777);
  const environment = {
    PATH: process.env.PATH,
    HOME: folder,
    RABBITMQ_NODENAME: `own${port}@localhost`,
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_PID_FILE: pidFile,
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
    RABBITMQ_DIST_PORT: String(await freePort()),
  };
  let pid: number | undefined;

  async function start(): Promise<void> {
    spawn(SERVER, [], { env: environment, stdio: 'ignore', detached: true }).unref();
    const deadline = performance.now() + START_LIMIT_MS;
    while (!(await isListening(port))) {
      if (performance.now() > deadline) throw new Error('RabbitMQ did not start');
      await sleep(200);
    }
    pid = Number(existsSync(pidFile) ? readFileSync(pidFile, 'utf8').trim() : Number.NaN);
    if (!Number.isInteger(pid)) throw new Error('RabbitMQ does not say which process it is');
  }

  async function stop(): Promise<void> {
    if (pid === undefined) return;
    process.kill(pid, 'SIGTERM');
    const deadline = performance.now() + STOP_LIMIT_MS;
    while (isAlive(pid)) {
      if (performance.now() > deadline) process.kill(pid, 'SIGKILL');
      await sleep(50);
    }
    pid = undefined;
  }

  process.once('exit', () => {
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  });
  await start();
  return { port, url: `amqp://guest:guest@127.0.0.1:${port}`, start, stop, [Symbol.asyncDispose]: stop };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  return new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  }).finally(() => socket.destroy());
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { packageRoot } from '../../src/package-root.ts';
import { adopt, end, makeScratchFolder } from '../scratch.ts';

/** How the balancer speaks to the replicas. */
export type BackendProtocol = 'h2' | 'h1';

export function hasBalancer(): boolean {
  return spawnSync('haproxy', ['-v']).status === 0;
}

/** A balancer, and when it gave a replica up or took it in again, in its own words. */
export interface Balancer extends AsyncDisposable {
  readonly changes: readonly string[];
}

/** Starts HAProxy with the configuration of compose.yaml, in which only the addresses differ. */
export async function startBalancer(options: {
  port: number;
  replicaPorts: readonly number[];
  backend: BackendProtocol;
}): Promise<Balancer> {
  const configuration = readConfiguration()
    .replace('bind :8007', `bind 127.0.0.1:${options.port}`)
    .replace(
      /tools-(\d):8007/g,
      (_, number: string) => `127.0.0.1:${options.replicaPorts[Number(number) - 1]}`,
    )
    .replace('proto h2 ', options.backend === 'h2' ? 'proto h2 ' : '');
  const file = join(makeScratchFolder(), 'haproxy.cfg');
  writeFileSync(file, configuration);
  const child = spawn('haproxy', ['-db', '-f', file], { stdio: ['ignore', 'pipe', 'pipe'] });
  adopt(child);
  const changes: string[] = [];
  child.stdout.on('data', (chunk) => {
    const at = performance.now();
    for (const line of String(chunk).split('\n')) {
      if (/ is (?:UP|DOWN)|no server/.test(line)) changes.push(`${at.toFixed(0)} ms: ${line.trim()}`);
    }
  });
  let words = '';
  child.stderr.on('data', (chunk) => {
    words += String(chunk);
  });
  while (!(await answers(options.port))) {
    if (child.exitCode !== null) throw new Error(`haproxy did not start: ${words}`);
    await sleep(20);
  }
  return { changes, [Symbol.asyncDispose]: () => end(child) };
}

/** The setting of a replica in compose.yaml. */
export function composeSetting(name: string): string {
  const value = new RegExp(`^    ${name}: (\\S+)$`, 'm').exec(readCompose())?.[1];
  if (value === undefined) throw new Error(`compose.yaml does not set ${name}`);
  return value;
}

function readConfiguration(): string {
  const [, block = ''] = /^ {4}content: \|\n((?: {6}.*\n|\n)+)/m.exec(readCompose()) ?? [];
  if (!block.includes('backend replicas'))
    throw new Error('compose.yaml has no configuration of the balancer');
  return block.replace(/^ {6}/gm, '');
}

function readCompose(): string {
  return readFileSync(join(packageRoot, 'compose.yaml'), 'utf8');
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createClient } from '@redis/client';
import type { RateLimit } from '../../config.ts';
import { serviceUrl } from '../../testing/services.ts';
import { openRedisWindows } from './redis-windows.ts';

export const MINUTE = 60_000;

/** A client of the test server, for what only tests do. Close it by scope: `using`. */
export async function connectToRedis() {
  const client = createClient({ url: serviceUrl('redis') });
  await client.connect();
  return Object.assign(client, { [Symbol.dispose]: () => client.destroy() });
}

/** Keys of their own for a test. */
export function newPrefix(): string {
  return `test:${randomUUID()}`;
}

/** Windows as a replica has them, and its log. */
export async function openWindows(options: {
  url?: string;
  prefix?: string;
  user?: RateLimit;
  anonymous?: RateLimit;
}) {
  const log: { level: 'info' | 'warn'; reason?: string; message: string }[] = [];
  const windows = await openRedisWindows({
    url: serviceUrl('redis'),
    prefix: newPrefix(),
    user: { count: 5, windowMs: MINUTE },
    anonymous: null,
    ...options,
    now: Date.now,
    logger: {
      info: (message: string) => log.push({ level: 'info', message }),
      warn: ({ reason }: { reason: string }, message: string) => log.push({ level: 'warn', reason, message }),
    } as never,
    timing: { firstPauseMs: 20, longestPauseMs: 100 },
  });
  /** Waits for a state, for 5 s at most. */
  const becomes = async (state: 'connected' | 'away') => {
    for (let waited = 0; windows.state !== state && waited < 5000; waited += 10) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    if (windows.state !== state) throw new Error(`Redis is still ${windows.state}`);
  };
  return Object.assign(windows, { log, becomes });
}

/** Speaks as much of Redis' protocol as is needed to give it any answer. Close it by scope: `await using`. */
export async function startFakeRedis(answer: (command: readonly string[]) => string) {
  const commands: string[][] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
    socket.on('data', (data) => {
      // What a test sends comes in one piece: an array of strings, each behind its length.
      for (const array of data
        .toString('utf8')
        .split(/^\*\d+\r\n/m)
        .slice(1)) {
        const command: string[] = [];
        for (let rest = array; rest !== ''; ) {
          const [head = '', length = ''] = /^\$(\d+)\r\n/.exec(rest) ?? [];
          const end = head.length + Number(length);
          command.push(rest.slice(head.length, end));
          rest = rest.slice(end + 2);
        }
        commands.push(command);
        socket.write(answer(command));
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    commands,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

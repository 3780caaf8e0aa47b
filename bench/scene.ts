import { randomUUID } from 'node:crypto';
import { startChild } from './child.ts';
import { sampleTools, webhookDefinition } from './examples.ts';
import type { PeerReady, PeerUsage } from './peers/peer.ts';
import { TOOLS_PATH } from './requests.ts';
import type { SeededDatabase } from './seed.ts';
import { JWT_KEY, startServiceProcess } from './service-process.ts';
import { signToken } from './token.ts';

/** A service, a user, and somebody's endpoint that the user's tools call. */
export interface Scene extends AsyncDisposable {
  readonly origin: string;
  readonly userId: string;
  readonly token: string;
  readonly pid: number;
  /** Without a slash at the end. */
  readonly webhookUrl: string;
  /** CPU time of the service, user and system, in milliseconds. */
  cpuMs(): Promise<number>;
  /** Registers a tool that calls the endpoint at this path. */
  register(name: string, path: string): Promise<void>;
}

/** @param options.peer the program that is the endpoint. */
export async function openScene(
  database: SeededDatabase,
  {
    peer = new URL('./peers/webhook.ts', import.meta.url),
    nodeArguments = [],
  }: { peer?: URL; nodeArguments?: readonly string[] } = {},
): Promise<Scene> {
  const webhook = await startChild<'usage', PeerUsage>(peer);
  const { port } = webhook.ready as PeerReady;
  const service = await startServiceProcess({
    databaseFile: database.file,
    nodeArguments,
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
    pid: service.pid,
    webhookUrl: `http://127.0.0.1:${port}`,
    cpuMs: () => service.cpuMs(),
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

/** Posts JSON and gives the JSON that is answered. @throws Error when it is refused. */
export async function post(url: string, token: string, body: object): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  return response.json();
}

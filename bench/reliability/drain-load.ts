import { randomInt } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { getOwn, isJsonObject, type JsonObject, type JsonValue } from '../../src/json.ts';
import { protocols, type RpcClient } from '../../src/testing/rpc-clients.ts';
import { EXECUTE_PATH, TOOLS_PATH, VALIDATE_PATH } from '../requests.ts';

/** What is asked for, over and over. */
export interface Target {
  readonly url: string;
  readonly token: string;
  readonly toolId: string;
  readonly toolName: string;
}

/** The calls of one protocol. */
export interface Tally {
  readonly protocol: string;
  done: number;
  underWay: number;
  /** Each failed or wrongly answered call: when, in milliseconds since the load began, and how. */
  readonly faults: { readonly at: number; readonly words: string }[];
  readonly durationsMs: number[];
}

/** Clients that call at the same time, of each protocol. */
const CLIENTS = 6;

/** A webhook on loopback that answers what it was asked with, after 50 to 300 ms. */
export async function startEcho(): Promise<{ port: number } & AsyncDisposable> {
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    await sleep(randomInt(50, 301));
    response.setHeader('content-type', 'application/json').end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Calls over REST, gRPC and Connect without a pause until it is stopped; then waits for what is under way. */
export function startLoad(target: Target): { tallies: readonly Tally[]; stop(): Promise<void> } {
  const start = performance.now();
  let stopped = false;
  const clients: RpcClient[] = [];

  function run(
    protocol: string,
    makeCalls: () => readonly (() => Promise<void>)[],
  ): [Tally, Promise<void>[]] {
    const tally: Tally = { protocol, done: 0, underWay: 0, faults: [], durationsMs: [] };
    const work = Array.from({ length: CLIENTS }, async () => {
      const calls = makeCalls();
      while (!stopped) {
        const began = performance.now();
        tally.underWay++;
        try {
          await calls[randomInt(calls.length)]?.();
        } catch (error) {
          const words = error instanceof Error ? `${error.message} ${causeOf(error)}` : String(error);
          tally.faults.push({ at: performance.now() - start, words });
        }
        tally.underWay--;
        tally.done++;
        tally.durationsMs.push(performance.now() - began);
      }
    });
    return [tally, work];
  }

  const overRpc = (name: string) => () => {
    const client = protocols.find((protocol) => protocol.name === name)?.connect(target.url);
    if (!client) throw new Error(`there is no protocol ${name}`);
    clients.push(client);
    return rpcCalls(client, target);
  };
  const runs = [
    run('REST (HTTP/1.1)', () => restCalls(target)),
    run('gRPC (HTTP/2)', overRpc('gRPC')),
    run('Connect (HTTP/1.1)', overRpc('Connect (JSON)')),
  ];
  return {
    tallies: runs.map(([tally]) => tally),
    async stop() {
      stopped = true;
      await Promise.all(runs.flatMap(([, work]) => work));
      for (const client of clients) client[Symbol.dispose]();
    },
  };
}

function restCalls({ url, token, toolId, toolName }: Target) {
  const ask = async (path: string, status: number, body?: JsonObject): Promise<JsonValue> => {
    const response = await fetch(`${url}${path}`, {
      method: body ? 'POST' : 'GET',
      headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await response.text();
    if (response.status !== status) throw new Error(`${path}: ${response.status} ${text}`);
    return text === '' ? null : (JSON.parse(text) as JsonValue);
  };
  return [
    async () => {
      const tools = (await ask(TOOLS_PATH, 200)) as JsonObject[];
      expect(
        tools.some((tool) => tool.id === toolId),
        'a list with the tool',
      );
    },
    async () => {
      await ask(VALIDATE_PATH, 204, { tool_ids: [toolId] });
    },
    async () => {
      const number = randomInt(1e9);
      const body = { tool_calls: [{ id: 'call', name: toolName, arguments: { number } }] };
      expectEcho((await ask(EXECUTE_PATH, 200, body)) as JsonObject, number);
    },
  ];
}

function rpcCalls(client: RpcClient, { token, toolId, toolName }: Target) {
  const ask = async (method: string, request: JsonObject) => {
    const { code, message, body } = await client.call(method, request, { token });
    if (code !== 'OK') throw new Error(`${method}: ${code} ${message}`);
    return body;
  };
  return [
    async () => {
      const { authorized } = await ask('ValidateTools', { toolIds: [toolId] });
      expect(authorized === true, 'authorized');
    },
    async () => {
      const { definitions } = await ask('GetToolDefinitions', { toolIds: [toolId] });
      expect(JSON.stringify(definitions).includes(toolName), 'the definition');
    },
    async () => {
      const number = randomInt(1e9);
      const toolCalls = [{ id: 'call', name: toolName, arguments: { number } }];
      expectEcho(await ask('ExecuteMultipleTools', { toolCalls }), number);
    },
  ];
}

function expectEcho({ results }: JsonObject, number: number): void {
  const [result] = results as JsonValue[];
  const output = isJsonObject(result) ? getOwn(result, 'output') : undefined;
  expect(output === JSON.stringify({ number }), `the number ${number}, not ${JSON.stringify(results)}`);
}

function expect(met: boolean, words: string): void {
  if (!met) throw new Error(`the answer should have been ${words}`);
}

function causeOf({ cause }: Error): string {
  return cause instanceof Error ? `(${cause.message})` : '';
}

import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { expect } from 'vitest';
import { hasToolData, readDataLines } from '../testing/tool-data.ts';
import { parseEgressAllow } from './address-policy.ts';
import type { EgressClientOptions, EgressRequest, EgressResponse } from './egress-client.ts';
import { createEgressClient, EgressError } from './egress-client.ts';
import type { Connect } from './pinned-connect.ts';

/** The rows of a labelled file, or none (with a line that says so) where the shared data are not at hand. */
export function readRows<Row>(name: string): Row[] {
  if (hasToolData) return readDataLines<Row>(`security/${name}`);
  console.warn(`${name}: not found, its rows are skipped`);
  return [];
}

export interface StubServer extends AsyncDisposable {
  port: number;
  url: string;
}

/** A server on a free port of 127.0.0.1, gone with all of its connections at the end of the scope. */
export async function listen(server: Server): Promise<StubServer> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function startHttp(listener: RequestListener): Promise<StubServer> {
  return listen(createServer(listener));
}

/** Waits for a request's first bytes on every connection, then leaves the socket to `answer`. */
export function startTcp(answer: (socket: Socket) => void): Promise<StubServer> {
  return listen(createTcpServer((socket) => socket.once('data', () => answer(socket))));
}

export type TestRequest = Partial<EgressRequest> & { url: string };

/** A client that may reach loopback and records what it dials; asks with GET, 1 MB and no deadline unless told otherwise. */
export function startClient(options: Partial<EgressClientOptions> = {}) {
  const dialled: string[] = [];
  const client = createEgressClient({
    allow: parseEgressAllow('127.0.0.0/8'),
    onDial: (address, port) => dialled.push(`${address} ${port}`),
    ...options,
  });
  return {
    dialled,
    request: (request: TestRequest): Promise<EgressResponse> =>
      client.request({
        method: 'GET',
        headers: {},
        signal: new AbortController().signal,
        maxResponseBytes: 1_000_000,
        ...request,
      }),
    close: () => client.close(),
    [Symbol.asyncDispose]: () => client.close(),
  };
}

export const publicAddress = '93.184.215.14';

/** Answers one list of addresses after another, the last for ever. */
export function answering(...answers: string[][]): () => Promise<string[]> {
  let asked = 0;
  return async () => answers[Math.min(asked++, answers.length - 1)] ?? [];
}

/** Reaches nothing: every attempt to connect fails. */
export const connectNowhere: Connect = (_target, callback) => {
  callback(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }), null);
};

/** The EgressError that a request must end with. */
export async function failureOf(response: Promise<EgressResponse>): Promise<EgressError> {
  const outcome = await response.catch((error: unknown) => error);
  expect(outcome).toBeInstanceOf(EgressError);
  return outcome as EgressError;
}

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import http2 from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { ServiceError } from '../errors.ts';
import { createLogger } from '../logging.ts';
import { createMetrics } from '../metrics.ts';
import { createHttpClient, said } from '../testing/http-client.ts';
import { protocols } from '../testing/rpc-clients.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { testToolsContext } from '../testing/tools-context.ts';
import { createTracer } from '../tracing/tracer.ts';
import type { Authentication } from './authenticate.ts';
import { createApp } from './create-app.ts';
import { createFlights } from './flights.ts';
import { createListener } from './listener/listener.ts';
import { registerRest } from './rest/rest-plugin.ts';
import { registerRpc } from './rpc/rpc-plugin.ts';

const VALIDATE = '/ms7/internal/v1/tools/validate/';
const TOOLS = '/ms7/api/v1/tools/';
const RPC = '/tool.ToolService/ValidateTools';
const USER: Authentication = {
  kind: 'caller',
  caller: { kind: 'user', userId: randomUUID(), isStaff: false },
};
const UNAVAILABLE = new ServiceError('unavailable', 'The credentials cannot be checked now.');

/** Many ids in many packets, none of them anybody's. */
const BODY = Buffer.from(
  JSON.stringify({
    tool_ids: Array.from({ length: 9000 }, () => randomUUID()),
    padding: 'x'.repeat(500_000),
  }),
);
const DENIED = 'One or more tool IDs are invalid or you do not have permission to use them.';

/** The transports, whose requests wait to be let in until a test says how. */
async function start() {
  const waiting: { admit(outcome: Authentication | Error): void }[] = [];
  const log: Record<string, unknown>[] = [];
  const database = await openTestDatabase('sqlite');
  const listener = createListener();
  const metrics = createMetrics();
  const stream = new Writable({
    write(line, _encoding, done) {
      log.push(JSON.parse(String(line)));
      done();
    },
  });
  const app = await createApp({
    listener,
    logger: await createLogger('info', stream),
    metrics,
    tracer: await createTracer({ endpoint: undefined, serviceName: '', serviceVersion: '', logFault() {} }),
    flights: createFlights(),
    trustedProxies: [],
    corsOrigins: [],
    maxBodyBytes: 2 ** 20,
    isDraining: () => false,
  });
  const context = {
    authenticate: () =>
      new Promise<Authentication>((resolve, reject) => {
        waiting.push({
          admit: (outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome)),
        });
      }),
    throttle: { take: async () => 0 },
    tools: testToolsContext(database),
    metrics,
    ready: async () => ({
      isReady: true,
      dependencies: { database: 'ok', rabbitmq: 'off', redis: 'off' } as const,
    }),
    limits: { toolIdsPerRequest: 10_000, messageBytes: 2 ** 20 },
    // Not reached by these tests.
    execution: {} as never,
    history: {} as never,
  };
  await registerRest(app, { ...context, version: '1' });
  await registerRpc(app, { ...context, stopping: new AbortController().signal, trustedNetwork: false });
  await app.ready();
  app.server.listen(0, '127.0.0.1');
  await once(app.server, 'listening');
  const { port } = app.server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    /** Lines about requests that are over. */
    requests: () => log.filter(({ msg }) => msg === 'request'),
    faults: () => log.filter(({ level }) => level === 'error'),
    /** Lets the next request in, or not, when it has come. */
    async admit(outcome: Authentication | Error = USER) {
      await expect.poll(() => waiting.length, { timeout: 5000, interval: 5 }).toBeGreaterThan(0);
      waiting.shift()?.admit(outcome);
    },
    /** Resolves when a request waits. */
    arrived: () => expect.poll(() => waiting.length, { timeout: 5000, interval: 5 }).toBeGreaterThan(0),
    async [Symbol.asyncDispose]() {
      await listener.drain(0);
      await app.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

describe('a body that comes while its request waits to be let in', () => {
  it.each([VALIDATE, RPC])('is read whole over HTTP/1.1: %s', async (path) => {
    await using service = await start();
    const socket = connect(service.port, '127.0.0.1');
    let answer = '';
    socket.setEncoding('utf8').on('data', (text) => {
      answer += text;
    });
    socket.write(head('POST', path, bodyOf(path).length));
    socket.write(bodyOf(path).subarray(0, 300_000));
    await service.arrived();
    // Bytes that arrive before it is let in, and after.
    await new Promise((resolve) => setTimeout(resolve, 50));
    await service.admit();
    socket.write(bodyOf(path).subarray(300_000));
    await once(socket, 'close');
    expect(answer).toMatch(/^HTTP\/1\.1 403 /);
    expect(answer).toContain(DENIED);
  });

  it.each([VALIDATE, RPC])('is read whole over HTTP/2: %s', async (path) => {
    await using service = await start();
    const client = http2.connect(service.url);
    const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/json' };
    const request = client.request(headers).setEncoding('utf8');
    let answer = '';
    request.on('data', (text) => {
      answer += text;
    });
    request.write(bodyOf(path).subarray(0, 300_000));
    await service.arrived();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await service.admit();
    request.end(bodyOf(path).subarray(300_000));
    await once(request, 'close');
    client.close();
    expect(answer).toContain(DENIED);
  });
});

function head(method: string, path: string, length: number): string {
  const headers = 'Host: x\r\nContent-Type: application/json\r\nConnection: close';
  return `${method} ${path} HTTP/1.1\r\n${headers}\r\nContent-Length: ${length}\r\n\r\n`;
}

/** REST ignores the field that it does not know; an RPC's message has no such fields. */
function bodyOf(path: string): Buffer {
  return path === RPC ? Buffer.from(JSON.stringify({ toolIds: JSON.parse(String(BODY)).tool_ids })) : BODY;
}

describe('a client that leaves before its request is let in', () => {
  it.each([
    ['GET', TOOLS],
    ['POST', VALIDATE],
    ['DELETE', TOOLS],
    ['POST', RPC],
  ])('over HTTP/1.1 has one line in the log, and breaks nothing: %s %s', async (method, path) => {
    await using service = await start();
    for (const outcome of [USER, { kind: 'anonymous' }, UNAVAILABLE] as const) {
      for (const body of method === 'POST' ? [Buffer.from('{}'), BODY] : [Buffer.alloc(0)]) {
        const before = service.requests().length;
        const isOver = () =>
          expect.poll(() => service.requests().length, { timeout: 5000, interval: 5 }).toBe(before + 1);
        const socket = connect(service.port, '127.0.0.1');
        socket.write(head(method, path, body.length));
        socket.write(body);
        await service.arrived();
        // A reset is heard at once; an end alone may be that of one side.
        socket.resetAndDestroy();
        // While a body has more than is held in memory, nobody looks at what comes behind it.
        if (body !== BODY) await isOver();
        await service.admit(outcome);
        await isOver();
        await new Promise((resolve) => setTimeout(resolve, 20));
        expect(service.requests().length).toBe(before + 1);
        if (body !== BODY) expect(service.requests().at(-1)).toMatchObject({ status: 499 });
      }
    }
    expect(service.faults()).toEqual([]);
  });

  it.each([
    ['GET', TOOLS],
    ['POST', VALIDATE],
    ['DELETE', TOOLS],
    ['POST', RPC],
  ])('over HTTP/2 as well: %s %s', async (method, path) => {
    await using service = await start();
    const client = http2.connect(service.url);
    for (const outcome of [USER, { kind: 'anonymous' }, UNAVAILABLE] as const) {
      const before = service.requests().length;
      const headers = { ':method': method, ':path': path, 'content-type': 'application/json' };
      const request = client.request(headers, { endStream: method !== 'POST' });
      request.on('error', () => {});
      if (method === 'POST') request.write(BODY.subarray(0, 10_000));
      await service.arrived();
      request.close(http2.constants.NGHTTP2_CANCEL);
      await once(request, 'close');
      await service.admit(outcome);
      await expect.poll(() => service.requests().length, { timeout: 5000, interval: 5 }).toBe(before + 1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(service.requests().length).toBe(before + 1);
    }
    client.close();
    expect(service.faults()).toEqual([]);
  });
});

describe('a request that waits to be let in', () => {
  it('is told the method or the path that is not there afterwards, where it is told at all', async () => {
    await using service = await start();
    const send = createHttpClient(service.url);
    for (const [outcome, expected] of [
      [USER, [405, '{"detail":"Method \\"DELETE\\" not allowed."}']],
      [{ kind: 'anonymous' }, [401, '{"detail":"Authentication credentials were not provided."}']],
      [UNAVAILABLE, [503, '{"detail":"The credentials cannot be checked now."}']],
    ] as const) {
      const answer = send('DELETE', TOOLS, { body: BODY });
      await service.admit(outcome);
      expect(said(await answer)).toEqual(expected);
    }
    expect(said(await send('GET', '/nope'))).toEqual([404, '{"detail":"Not found."}']);
    expect((await send('OPTIONS', TOOLS)).status).toBe(204);
    expect((await send('POST', '/healthz')).status).toBe(405);
  });

  it.each(protocols)('is refused by $name when nobody can tell', async ({ connect: connectTo }) => {
    await using service = await start();
    using client = connectTo(service.url);
    const answer = client.call('ValidateTools', {});
    await service.admit(UNAVAILABLE);
    expect(await answer).toMatchObject({ code: 'UNAVAILABLE', message: UNAVAILABLE.message });
    const next = client.call('ValidateTools', {});
    await service.admit();
    expect(await next).toMatchObject({ code: 'OK' });
  });
});

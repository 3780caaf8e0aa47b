import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Pool } from 'undici';
import { describe, expect, it } from 'vitest';
import { protocols } from '../../testing/rpc-clients.ts';
import { createListener } from '../listener/listener.ts';
import { openSession, testTls, until } from '../listener/testing.ts';
import { createOverload } from './overload.ts';

const DETAIL = 'The service is overloaded. Try again.';

/** An overload whose loop and time are told. Requests that it lets through are answered with "served". */
function makeOverload() {
  let time = 0;
  let turnStartedAt = 0;
  let onEnd: (busyMs: number) => void = () => undefined;
  const lines: string[] = [];
  let refused = 0;
  const overload = createOverload({
    maxLoopDelayMs: 250,
    logger: {
      warn: (_fields: object, words?: string) => lines.push(String(words)),
      info: (_fields: object, words?: string) => lines.push(String(words)),
    } as never,
    onRefused: () => refused++,
    now: () => time,
    watchTurns(listener) {
      onEnd = listener;
      return { busyMs: () => time - turnStartedAt, close: () => undefined };
    },
  });
  let served = 0;
  const serve = overload.guard((_request, response) => {
    served++;
    response.end('served');
  });
  const ask = (count: number, msEach: number, url = '/') => {
    const before = served;
    for (let index = 0; index < count; index++) {
      const servedBefore = served;
      serve(
        { url, headers: {}, httpVersionMajor: 1, socket: {} } as IncomingMessage,
        {
          once: () => undefined,
          writeHead: () => undefined,
          end: () => undefined,
        } as unknown as ServerResponse,
      );
      if (served > servedBefore) time += msEach;
    }
    return served - before;
  };
  return {
    serve,
    lines,
    get refused() {
      return refused;
    },
    pass(ms: number) {
      time += ms;
    },
    /** Lets time pass in which nothing is to be done. */
    waits(ms: number) {
      time += ms;
      turnStartedAt += ms;
    },
    endTurn() {
      onEnd(time - turnStartedAt);
      turnStartedAt = time;
    },
    ask,
    /** A turn in which so many requests come, of which each takes so long; the number that is let through. */
    turn(...asked: Parameters<typeof ask>): number {
      const begun = ask(...asked);
      this.endTurn();
      return begun;
    },
  };
}

describe('what is refused', () => {
  it('is nothing while turns are short, however many they are', () => {
    const scene = makeOverload();
    for (let turn = 0; turn < 100; turn++) expect(scene.turn(240, 1)).toBe(240);
    expect(scene.lines).toEqual([]);
  });

  it('is nothing after one long pause, or in a burst that is served soon', () => {
    const scene = makeOverload();
    scene.pass(10_000);
    expect(scene.turn(400, 1)).toBe(400);
    expect(scene.turn(200, 1)).toBe(200);
    expect(scene.turn(700, 1)).toBe(700);
    expect(scene.turn(100, 1)).toBe(100);
    expect(scene.lines).toEqual([]);
  });

  it('is what there is no time for, once turns have been too long for long', () => {
    const scene = makeOverload();
    for (let turn = 0; turn < 5; turn++) scene.turn(1000, 1);
    const begun = scene.turn(1000, 1);
    expect(begun).toBeLessThan(40);
    expect(begun).toBeGreaterThanOrEqual(4);
    expect(scene.lines).toEqual(['overloaded: requests are refused']);
    expect(scene.refused).toBeGreaterThan(1000 - begun);
  });

  it('is found out in the course of one endless turn, too', () => {
    const scene = makeOverload();
    expect(scene.turn(10_000, 1)).toBeLessThan(800);
  });

  it('is as much as keeps turns short: cheap requests have more room', () => {
    const scene = makeOverload();
    for (let turn = 0; turn < 3; turn++) scene.turn(1000, 1);
    for (let turn = 0; turn < 100; turn++) scene.turn(1000, 0.4);
    expect(scene.turn(1000, 0.4)).toBeGreaterThan(25);
    for (let turn = 0; turn < 100; turn++) scene.turn(1000, 4);
    expect(scene.turn(1000, 4)).toBe(4);
  });

  it.each(['/healthz', '/readyz', '/metrics', '/metrics?a=b', '/grpc.health.v1.Health/Check'])(
    'is never %s',
    (url) => {
      const scene = makeOverload();
      for (let turn = 0; turn < 3; turn++) scene.turn(1000, 1);
      expect(scene.turn(100, 0, url)).toBe(100);
      expect(scene.turn(100, 0, '/metricsx')).toBeLessThan(100);
    },
  );
});

describe('the end of an overload', () => {
  it('comes when all that is asked could be served in time', () => {
    const scene = makeOverload();
    for (let turn = 0; turn < 3; turn++) scene.turn(1000, 1);
    for (let turn = 0; turn < 200; turn++) {
      scene.turn(1, 1);
      scene.pass(10);
    }
    expect(scene.turn(200, 1)).toBe(200);
    expect(scene.lines).toEqual(['overloaded: requests are refused', 'no longer overloaded']);
  });

  it('does not come while as many ask as before', () => {
    const scene = makeOverload();
    for (let turn = 0; turn < 200; turn++) scene.turn(1000, 1);
    expect(scene.lines).toEqual(['overloaded: requests are refused']);
  });

  it('is taken back at the first turn that is too long again, and then tried later', () => {
    const scene = makeOverload();
    /** How many turns it takes until all are served again, while more ask than there is room for, but not many more. */
    const calm = () => {
      const { length } = scene.lines;
      let turns = 0;
      for (; scene.lines.length === length; turns++) scene.turn(60, 1);
      return turns;
    };
    scene.turn(10_000, 1);
    const first = calm();
    expect(first).toBeGreaterThan(50);
    expect(scene.turn(10_000, 1)).toBeLessThan(300);
    expect(calm()).toBeGreaterThan(1.3 * first);
  });
});

/** A server behind a listener, which has so much to do that it refuses what it is asked. */
async function startOverloaded(tls?: typeof testTls) {
  const scene = makeOverload();
  // And its turn does not end.
  scene.ask(5000, 1);
  const listener = createListener(tls ? { tls } : {});
  const server = listener.fastify.serverFactory(scene.serve);
  let connectionsOpened = 0;
  server.on('connection', () => connectionsOpened++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    scene,
    origin,
    get connectionsOpened() {
      return connectionsOpened;
    },
    [Symbol.asyncDispose]: () => listener.drain(0),
  };
}

describe('a refusal', () => {
  it('is JSON over REST, with the headers that every answer has', async () => {
    await using server = await startOverloaded();
    const answer = await fetch(`${server.origin}/ms7/api/v1/tools/`);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toEqual({ detail: DETAIL });
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'retry-after': '1',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'same-origin',
      'cache-control': 'private, no-cache',
      'x-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });

  it('has no body where none was asked for', async () => {
    await using server = await startOverloaded();
    const answer = await fetch(`${server.origin}/ms7/api/v1/tools/`, { method: 'HEAD' });
    expect(answer.status).toBe(503);
    expect(await answer.text()).toBe('');
    using session = openSession(server.origin);
    expect(await text(session.request({ ':path': '/', ':method': 'HEAD' }))).toBe('');
  });

  it.each(protocols)('is UNAVAILABLE over $name, of calls and of streams', async ({ connect }) => {
    await using server = await startOverloaded();
    using client = connect(server.origin);
    const call = await client.call('ValidateTools', { userId: 'x', toolIds: [] });
    expect(call).toMatchObject({ code: 'UNAVAILABLE', message: DETAIL });
    expect(call.metadata).toMatchObject({ 'retry-after': '1' });
    const stream = await client.stream('ExecuteTools', { toolCalls: [] });
    expect(stream).toMatchObject({ code: 'UNAVAILABLE', message: DETAIL, messages: [] });
  });

  it('is one frame over gRPC, and says when to try again', async () => {
    await using server = await startOverloaded();
    using session = openSession(server.origin);
    const headers = {
      ':path': '/tool.ToolService/X',
      ':method': 'POST',
      'content-type': 'application/grpc+proto',
    };
    const stream = session.request(headers);
    const [answer, flags] = await once(stream.end('body'), 'response');
    expect(answer).toMatchObject({
      ':status': 200,
      'content-type': 'application/grpc+proto',
      'grpc-status': '14',
      'grpc-message': DETAIL,
      'grpc-retry-pushback-ms': '1000',
    });
    expect(flags & 1).toBe(1);
    stream.resume();
    await once(stream, 'close');
  });

  it('leaves fewer and fewer calls in flight to its connection, and more again when the overload is over', async () => {
    await using server = await startOverloaded();
    using session = openSession(server.origin);
    const limits: (number | undefined)[] = [];
    session.on('remoteSettings', ({ maxConcurrentStreams }) => limits.push(maxConcurrentStreams));
    for (let count = 1; count <= 4; count++) {
      await until(() => limits.length === Math.min(count, 4));
      server.scene.pass(300);
      await text(session.request({ ':path': '/' }));
    }
    await text(session.request({ ':path': '/' }));
    expect(limits).toEqual([256, 64, 16, 4]);
    while (server.scene.lines.length < 2) server.scene.turn(1, 500);
    while (limits.at(-1) !== 256) {
      const { length } = limits;
      // Not while turns are long.
      server.scene.pass(1000);
      server.scene.endTurn();
      server.scene.endTurn();
      expect(limits).toHaveLength(length);
      server.scene.waits(1000);
      server.scene.endTurn();
      await until(() => limits.length > length);
    }
    expect(limits).toEqual([256, 64, 16, 4, 8, 16, 32, 64, 128, 256]);
  });

  it('gives back what the bodies took of the connection', async () => {
    await using server = await startOverloaded();
    using session = openSession(server.origin);
    for (let count = 0; count < 12; count++) {
      const stream = session.request({ ':path': '/', ':method': 'POST' });
      stream.end(Buffer.alloc(16_000));
      expect(await text(stream)).toBe(JSON.stringify({ detail: DETAIL }));
    }
  });

  it.each([
    ['clear text', undefined],
    ['TLS', testTls],
  ])('leaves a connection of HTTP/1.1 usable, in %s', async (_name, tls) => {
    await using server = await startOverloaded(tls);
    const pool = new Pool(server.origin, { connections: 1, connect: { rejectUnauthorized: false } });
    for (let count = 0; count < 4; count++) {
      const answer = await pool.request({ path: '/', method: 'POST', body: Buffer.alloc(200_000) });
      expect(answer.statusCode).toBe(503);
      expect(await answer.body.json()).toEqual({ detail: DETAIL });
    }
    expect(server.connectionsOpened).toBe(1);
    await pool.close();
  });

  it('does nothing for a client that has left', async () => {
    await using server = await startOverloaded();
    {
      using session = openSession(server.origin);
      session.request({ ':path': '/' }).on('error', () => undefined);
      const before = server.scene.refused;
      await until(() => server.scene.refused > before);
    }
    expect((await fetch(server.origin)).status).toBe(503);
  });
});

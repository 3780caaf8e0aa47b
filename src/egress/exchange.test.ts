import { setTimeout } from 'node:timers/promises';
import { createGzip } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { failureOf, startClient, startHttp, startTcp } from './test-support.ts';

/** A signal that ends with a deadline's reason, and its end. */
function startDeadline() {
  const controller = new AbortController();
  return {
    signal: controller.signal,
    pass: () => controller.abort(new DOMException('too late', 'TimeoutError')),
  };
}

describe('the signal', () => {
  it('ends a request that is never answered, by a deadline', async () => {
    const deadline = startDeadline();
    await using server = await startHttp(deadline.pass);
    await using client = startClient();
    const failure = await failureOf(client.request({ url: server.url, signal: deadline.signal }));
    expect(failure).toMatchObject({ reason: 'timeout', bytesSent: true });
    const real = client.request({ url: server.url, signal: AbortSignal.timeout(10) });
    expect((await failureOf(real)).reason).toBe('timeout');
  });

  it('ends a request that is never answered, by a wish', async () => {
    const wish = new AbortController();
    await using server = await startHttp(() => wish.abort());
    await using client = startClient();
    const failure = await failureOf(client.request({ url: server.url, signal: wish.signal }));
    expect(failure).toMatchObject({ reason: 'canceled', bytesSent: true });
  });

  it.each(['identity', 'gzip'])('ends a body that drips, in %s', async (encoding) => {
    await using server = await startHttp((_request, response) => {
      response.writeHead(200, { 'content-encoding': encoding });
      const zip = createGzip();
      const drip = setInterval(() => {
        if (encoding === 'identity') response.write('x');
        else zip.write('x', () => zip.flush());
      }, 5);
      if (encoding === 'gzip') zip.pipe(response);
      response.on('close', () => clearInterval(drip));
    });
    await using client = startClient();
    const response = client.request({ url: server.url, signal: AbortSignal.timeout(60) });
    expect((await failureOf(response)).reason).toBe('timeout');
  });

  it('ends a request at once that still waits for a name, a connection or its turn', async () => {
    await using server = await startHttp(() => {});
    await using silentName = startClient({ resolve: () => new Promise(() => {}) });
    await using silentHost = startClient({ connect: () => {} });
    await using busy = startClient({ connectionsPerOrigin: 1 });
    const first = failureOf(busy.request({ url: server.url }));
    const signal = AbortSignal.timeout(20);
    const waiting = [
      silentName.request({ url: 'http://silent.example/', signal }),
      silentHost.request({ url: 'http://127.0.0.1/', signal }),
      busy.request({ url: server.url, signal }),
    ];
    for (const failure of await Promise.all(waiting.map(failureOf))) {
      expect(failure).toMatchObject({ reason: 'timeout', bytesSent: false });
    }
    await busy.close();
    expect((await first).reason).toBe('canceled');
  });

  it('sends nothing when it is aborted already', async () => {
    await using client = startClient();
    const failure = await failureOf(
      client.request({ url: 'http://127.0.0.1/', signal: AbortSignal.abort() }),
    );
    expect(failure).toMatchObject({ reason: 'canceled', bytesSent: false });
    expect(client.dialled).toEqual([]);
  });
});

describe('an upstream that fails', () => {
  it.each([
    ['resets instead of an answer', '', 'reset'],
    ['stops amid a body of known length', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf', 'reset'],
    [
      'stops amid a body of known length on a last connection',
      'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 10\r\n\r\nhalf',
      'reset',
    ],
    ['stops amid chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nha', 'reset'],
    [
      'stops amid chunks on a last connection',
      'HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n5\r\nha',
      'reset',
    ],
    ['does not speak HTTP', 'SSH-2.0-OpenSSH_9.2\r\n', 'invalid_response'],
    ['has too large a header', `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`, 'invalid_response'],
    ['sends interim responses alone', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(50), 'invalid_response'],
    [
      'switches the protocol unasked',
      'HTTP/1.1 101 OK\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n',
      'invalid_response',
    ],
  ])('%s', async (_what, answer, reason) => {
    await using server = await startTcp((socket) => socket.end(answer));
    await using client = startClient();
    const failure = await failureOf(client.request({ url: `${server.url}/?key=secret` }));
    expect(failure).toMatchObject({ reason, bytesSent: true });
    expect(failure.message).not.toMatch(/secret|127\.0\.0\.1/);
  });

  it('resets the connection amid the body', async () => {
    await using server = await startTcp((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf', () => socket.resetAndDestroy());
    });
    await using client = startClient();
    expect(await failureOf(client.request({ url: server.url }))).toMatchObject({
      reason: 'reset',
      bytesSent: true,
    });
  });

  it('closes a kept connection just as the next request takes it', async () => {
    await using server = await startTcp((socket) => {
      socket.once('data', () => socket.destroy());
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    });
    await using client = startClient();
    await client.request({ url: server.url });
    // Long enough for the connection to be free again.
    await setTimeout(20);
    expect(await failureOf(client.request({ url: server.url }))).toMatchObject({
      reason: 'reset',
      bytesSent: true,
    });
    expect((await client.request({ url: server.url })).status).toBe(200);
  });

  it('is not there', async () => {
    const server = await startHttp(() => {});
    await server[Symbol.asyncDispose]();
    await using client = startClient();
    expect(await failureOf(client.request({ url: `${server.url}/?key=secret` }))).toMatchObject({
      reason: 'unreachable',
      message: 'The upstream refused the connection',
      bytesSent: false,
    });
  });
});

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { startTcpProxy } from './tcp-proxy.ts';

async function startEcho() {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function talkTo(port: number) {
  const socket = connect(port, '127.0.0.1');
  let heard = '';
  socket.on('data', (chunk) => {
    heard += chunk;
  });
  const ended = new Promise<string>((resolve) => {
    let code = 'closed';
    socket.on('error', (error: NodeJS.ErrnoException) => {
      code = error.code ?? '';
    });
    socket.on('close', () => resolve(code));
  });
  return {
    say: (text: string) => socket.write(text),
    heard: () => heard,
    ended,
    [Symbol.dispose]: () => socket.destroy(),
  };
}

describe('a proxy', () => {
  it('passes, stalls, swallows, and passes again', async () => {
    await using echo = await startEcho();
    await using proxy = await startTcpProxy(echo.port);
    using client = talkTo(proxy.port);
    client.say('a');
    await expect.poll(client.heard).toBe('a');

    await proxy.setMode('stall');
    client.say('b');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(client.heard()).toBe('a');
    await proxy.setMode('stall-answers');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(client.heard()).toBe('a');
    await proxy.setMode('pass');
    await expect.poll(client.heard).toBe('ab');

    await proxy.setMode('swallow');
    client.say('c');
    await new Promise((resolve) => setTimeout(resolve, 50));
    await proxy.setMode('pass');
    proxy.setDelay(60);
    const startedAt = performance.now();
    client.say('d');
    await expect.poll(client.heard).toBe('abd');
    // Both ways.
    expect(performance.now() - startedAt).toBeGreaterThan(110);
  });

  it('resets and refuses, and listens on the same port after it', async () => {
    await using echo = await startEcho();
    await using proxy = await startTcpProxy(echo.port);
    using first = talkTo(proxy.port);
    first.say('a');
    await expect.poll(first.heard).toBe('a');
    await proxy.setMode('reset');
    expect(await first.ended).toBe('ECONNRESET');
    using second = talkTo(proxy.port);
    expect(await second.ended).toBe('ECONNRESET');
    await proxy.setMode('refuse');
    using third = talkTo(proxy.port);
    expect(await third.ended).toBe('ECONNREFUSED');
    expect(proxy.connections).toBe(0);
    await proxy.setMode('pass');
    using fourth = talkTo(proxy.port);
    fourth.say('d');
    await expect.poll(fourth.heard).toBe('d');
    proxy.dropConnections();
    expect(await fourth.ended).toBe('ECONNRESET');
  });
});

import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { connectRaw, start, testTls, until } from './testing.ts';

const test = it.concurrent;

test.each([
  ['nothing', ''],
  ['one byte', 'P'],
  ['half of the preface', 'PRI * HTTP/2.0\r\n'],
])('a socket that sends %s is closed after the time for a handshake', async (_name, sent) => {
  await using server = await start({ handshakeTimeoutMs: 100 });
  using client = connectRaw(server.port);
  client.socket.write(sent);
  await until(() => server.listener.connections === 1);
  expect(await until(() => server.listener.connections === 0)).toBeLessThan(5000);
});

test('one that goes on byte by byte does not get more time', async () => {
  await using server = await start({ handshakeTimeoutMs: 100 });
  using client = connectRaw(server.port);
  const preface = [...'PRI * HTTP/2.0\r\n\r\nSM\r\n\r'];
  const timer = setInterval(() => client.socket.write(preface.shift() ?? ''), 20);
  await client.toEnd();
  clearInterval(timer);
  expect(preface).not.toEqual([]);
});

test.each(['', 'P'])('a socket that sends %j and ends is closed at once', async (sent) => {
  await using server = await start();
  using client = connectRaw(server.port);
  client.socket.end(sent);
  expect(await client.toEnd()).toBe('');
  await until(() => server.listener.connections === 0);
});

test.each([
  ['clear text', {}],
  ['TLS', { tls: testTls }],
])('connections beyond the limit are dropped, in %s', async (_, options) => {
  await using server = await start({ maxConnections: 1, ...options });
  using first = connectRaw(server.port);
  await until(() => server.listener.connections === 1);
  using second = connectRaw(server.port);
  expect(await second.toEnd()).toBe('');
  expect(server.listener.connections).toBe(1);
  if ('tls' in options) return;
  first.socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await until(() => first.received.startsWith('HTTP/1.1 200 '));
});

test('a thousand sockets that are reset at any moment do no harm', async () => {
  await using server = await start();
  const beginnings = [
    '',
    'P',
    'GET / HTTP/1.1\r\n',
    'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'PRI * HTTP/2.0\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0',
  ];
  for (let batch = 0; batch < 10; batch += 1) {
    const sockets = Array.from({ length: 100 }, (_, number) => {
      const socket = connect({ port: server.port, host: '127.0.0.1' }).on('error', () => {});
      socket.write(beginnings[number % beginnings.length] ?? '', 'latin1');
      return socket;
    });
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    for (const socket of sockets) socket.resetAndDestroy();
  }
  await until(() => server.listener.connections === 0);
  expect((await fetch(server.origin)).status).toBe(200);
});

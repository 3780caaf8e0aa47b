import type { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';
import { expect, it } from 'vitest';
import { connectRaw, openSession, start, testTls, until } from './testing.ts';

const test = it.concurrent;

test('a client that offers HTTP/2 gets it', async () => {
  await using server = await start({ tls: testTls });
  using session = openSession(server.origin, { ca: testTls.cert, rejectUnauthorized: true });
  const answer = await text(session.request({ ':path': '/' }));
  expect(JSON.parse(answer)).toEqual({ version: '2.0', ip: '127.0.0.1' });
  expect(session.alpnProtocol).toBe('h2');
});

test('a client that offers HTTP/1.1 gets that', async () => {
  await using server = await start({ tls: testTls });
  const options = { ca: testTls.cert, agent: false, ALPNProtocols: ['http/1.1'] };
  const response = await new Promise<IncomingMessage>((resolve) => get(server.origin, options, resolve));
  expect(JSON.parse(await text(response))).toEqual({ version: '1.1', ip: '127.0.0.1' });
});

test('what is no HTTP is answered with 400', async () => {
  await using server = await start({ tls: testTls });
  const socket = connect({ port: server.port, ca: testTls.cert, host: 'localhost' });
  socket.write('garbage\r\n\r\n');
  expect(await text(socket)).toMatch(/^HTTP\/1.1 400 .*{"detail":"Bad request."}$/s);
});

test('so does one that offers nothing, and it may end its side after the request', async () => {
  await using server = await start({ tls: testTls });
  const options = { port: server.port, ca: testTls.cert, host: 'localhost', allowHalfOpen: true };
  const socket = connect(options);
  socket.end('GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await server.held.arrived.opened;
  setTimeout(server.held.released.open, 20);
  expect(await text(socket)).toMatch(/^HTTP\/1.1 200 .*released$/s);
});

test.each([
  ['nothing', ''],
  ['half a handshake', '\x16\x03\x01\x02\x00\x01\x00'],
])('a socket that sends %s is closed after the time for a handshake', async (_name, sent) => {
  await using server = await start({ tls: testTls, handshakeTimeoutMs: 100 });
  using client = connectRaw(server.port);
  client.socket.write(sent, 'latin1');
  await until(() => server.listener.connections === 1);
  await until(() => server.listener.connections === 0);
});

test.each(['GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'])(
  'clear text is closed: %j',
  async (sent) => {
    await using server = await start({ tls: testTls });
    using client = connectRaw(server.port);
    client.socket.write(sent);
    await client.toEnd();
    await until(() => server.listener.connections === 0);
  },
);

test('a drain closes what is idle or in its handshake, and lets a call finish', async () => {
  await using server = await start({ tls: testTls });
  using handshaking = connectRaw(server.port);
  using idle = openSession(server.origin);
  using busy = openSession(server.origin);
  await text(idle.request({ ':path': '/' }));
  const call = text(busy.request({ ':path': '/held' }));
  await server.held.arrived.opened;
  await until(() => server.listener.connections === 3);

  const drained = server.listener.drain(10_000);
  await until(() => server.listener.connections === 1);
  expect(await handshaking.toEnd()).toBe('');
  server.held.released.open();
  expect(await call).toBe('released');
  await drained;
});

test('what is left at the deadline of a drain is destroyed', async () => {
  await using server = await start({ tls: testTls });
  using session = openSession(server.origin);
  session.request({ ':path': '/held' }).on('error', () => {});
  await server.held.arrived.opened;
  await server.listener.drain(50);
  expect(server.listener.connections).toBe(0);
});

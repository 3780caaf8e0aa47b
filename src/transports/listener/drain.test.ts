import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { connectRaw, openSession, start, until } from './testing.ts';

const test = it.concurrent;

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const settings = '\0\0\0\x04\0\0\0\0\0';
const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

test.each([
  ['a socket that has sent nothing', ''],
  ['a socket that has sent one byte', 'P'],
  ['half a request', 'GET / HTTP/1.1\r\n'],
  ['a connection kept alive', get('/')],
  ['a session that never reacts', preface + settings],
  ['a session within its headers', `${preface + settings}\0\0\x01\x01\0\0\0\0\x01\x82`],
  ['a session of garbage', `${preface + settings}garbage`],
])('%s is closed at once', async (_name, sent) => {
  await using server = await start();
  using client = connectRaw(server.port);
  client.socket.write(sent, 'latin1');
  await until(() => server.listener.connections === 1);
  await until(() => client.received !== '' || !sent.includes('\r\n\r\n'));
  const started = performance.now();
  await server.listener.drain(10_000);
  expect(performance.now() - started).toBeLessThan(5000);
  expect(server.listener.connections).toBe(0);
});

test('an idle session is told, and closed', async () => {
  await using server = await start();
  using session = openSession(server.origin);
  await text(session.request({ ':path': '/' }));
  const goaway = once(session, 'goaway');
  await server.listener.drain(10_000);
  await goaway;
});

test('calls in flight finish, and no new connection is taken', async () => {
  await using server = await start();
  using client = connectRaw(server.port);
  using session = openSession(server.origin);
  client.socket.write(get('/held'));
  await server.held.arrived.opened;
  const call = text(session.request({ ':path': '/held' }));
  await until(() => server.listener.connections === 2);
  await text(session.request({ ':path': '/' }));

  const drained = server.listener.drain(10_000);
  using late = connectRaw(server.port);
  expect(await late.toEnd()).toBe('');
  expect(server.listener.connections).toBe(2);

  server.held.released.open();
  expect(await call).toBe('released');
  expect(await client.toEnd()).toMatch(/^HTTP\/1.1 200 .*\r\nconnection: close\r\n.*released$/is);
  await drained;
});

test('requests that come on a busy connection meanwhile are answered, and the last says that it is', async () => {
  await using server = await start();
  using client = connectRaw(server.port);
  client.socket.write(get('/held'));
  await server.held.arrived.opened;
  const drained = server.listener.drain(10_000);
  client.socket.write(get('/'));
  setTimeout(server.held.released.open, 50);
  const [, first, second] = (await client.toEnd()).split('HTTP/1.1 200 OK');
  expect(first).toContain('released');
  expect(first).not.toMatch(/connection: close/i);
  expect(second).toContain('"version":"1.1"');
  expect(second).toMatch(/connection: close/i);
  await drained;
});

test('what is left at the deadline is destroyed', async () => {
  await using server = await start();
  using client = connectRaw(server.port);
  using session = openSession(server.origin);
  client.socket.write(get('/held'));
  const call = session.request({ ':path': '/held' });
  const failed = once(call, 'error').catch((error: unknown) => error);
  await server.held.arrived.opened;
  await until(() => server.listener.connections === 2);
  const started = performance.now();
  await server.listener.drain(100);
  expect(performance.now() - started).toBeLessThan(5000);
  expect(server.listener.connections).toBe(0);
  await failed;
});

test('a second drain brings the deadline forward', async () => {
  await using server = await start();
  using client = connectRaw(server.port);
  client.socket.write(get('/held'));
  await server.held.arrived.opened;
  const drained = server.listener.drain(60_000);
  await server.listener.drain(50);
  await drained;
  await server.listener.drain(50);
});

test('a listener that was never used drains', async () => {
  await using server = await start();
  await server.app.close();
  await server.listener.drain(10);
});

test.each(['before', 'while', 'after'])('the application may be closed %s the drain', async (order) => {
  await using server = await start();
  using idle = openSession(server.origin);
  using busy = openSession(server.origin);
  await text(idle.request({ ':path': '/' }));
  const call = text(busy.request({ ':path': '/held' }));
  await server.held.arrived.opened;
  setTimeout(server.held.released.open, 50);

  const closing = order === 'before' ? server.app.close() : undefined;
  const drained = server.listener.drain(10_000);
  if (order === 'while') await server.app.close();
  await drained;
  if (order === 'after') await server.app.close();
  await closing;
  expect(await call).toBe('released');
});

test('closing the application is enough', async () => {
  await using server = await start();
  using idle = connectRaw(server.port);
  using session = openSession(server.origin);
  idle.socket.write(get('/'));
  await text(session.request({ ':path': '/' }));
  await until(() => idle.received !== '');
  await server.app.close();
});

test('a hook gives the closing of the application a deadline', async () => {
  await using server = await start({ closeMs: 100 });
  using client = connectRaw(server.port);
  client.socket.write(get('/held'));
  await server.held.arrived.opened;
  await server.app.close();
  expect(server.listener.connections).toBe(0);
});

import { Agent, get, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { connectRaw, large, start, until } from './testing.ts';

const test = it.concurrent;

const headers = 'Host: localhost\r\n';

/** Whether an answer of the listener itself is what it should be. */
function expectRefusal(received: string, status: number, detail: string): void {
  const [head = '', body] = received.split('\r\n\r\n');
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(head).toContain('Content-Type: application/json\r\n');
  expect(head).toContain('X-Content-Type-Options: nosniff\r\n');
  expect(head).toContain('Connection: close');
  expect(body).toBe(JSON.stringify({ detail }));
}

test('requests follow one another on a connection that is kept', async () => {
  await using server = await start();
  using agent = Object.assign(new Agent({ keepAlive: true, maxSockets: 1 }), {
    [Symbol.dispose]: () => agent.destroy(),
  });
  for (let call = 0; call < 3; call += 1) {
    const response = await new Promise<IncomingMessage>((resolve) => get(server.origin, { agent }, resolve));
    expect(JSON.parse(await text(response))).toEqual({ version: '1.1', ip: '127.0.0.1' });
  }
  expect(server.listener.connections).toBe(1);
});

test('pipelined requests are answered in their order', async () => {
  await using server = await start();
  using client = connectRaw(server.port);
  const post = (body: string) =>
    `POST /echo HTTP/1.1\r\n${headers}Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  client.socket.write(post('first') + post('second') + post('third'));
  await until(() => /first.*second.*third/s.test(client.received));
});

test('a body may come in chunks', async () => {
  await using server = await start();
  const response = await new Promise<IncomingMessage>((resolve) => {
    const upload = request(`${server.origin}/echo`, { method: 'POST' }, resolve);
    upload.setHeader('content-type', 'text/plain');
    upload.write('one ');
    setImmediate(() => upload.end('two'));
  });
  expect(await text(response)).toBe('one two');
});

test('a request may come byte by byte, also one that begins as the preface of HTTP/2 does', async () => {
  await using server = await start();
  using client = connectRaw(server.port);
  const whole = `PUT / HTTP/1.1\r\n${headers}\r\nGET / HTTP/1.1\r\n${headers}\r\n`;
  for (const byte of whole) {
    client.socket.write(byte);
    await nextTurn();
  }
  await until(() => /HTTP\/1.1 404.*HTTP\/1.1 200/s.test(client.received));
});

test('a client that ends its side after the request gets its answer', async () => {
  await using server = await start();
  using client = connectRaw(server.port);
  client.socket.end(`GET /held HTTP/1.1\r\n${headers}\r\n`);
  await server.held.arrived.opened;
  server.held.released.open();
  expect(await client.toEnd()).toMatch(/^HTTP\/1.1 200 .*released$/s);
  await until(() => server.listener.connections === 0);
});

test('so does one that has to wait, after interim answers', async () => {
  await using server = await start();
  using client = connectRaw(server.port);
  client.socket.end(`GET /held HTTP/1.1\r\n${headers}\r\n`);
  await until(() => client.received !== '');
  server.held.released.open();
  expect(await client.toEnd()).toMatch(/^(HTTP\/1.1 102 Processing\r\n\r\n)+HTTP\/1.1 200 .*released$/s);
});

test('the call of a client that has gone is cancelled', async () => {
  await using server = await start();
  using client = connectRaw(server.port);
  client.socket.write(`GET /held HTTP/1.1\r\n${headers}\r\n`);
  await server.held.arrived.opened;
  client.socket.destroy();
  await server.held.closed.opened;
  await until(() => server.listener.connections === 0);
});

test.each(['h2c', 'websocket'])('an upgrade to %s is ignored', async (protocol) => {
  await using server = await start();
  using client = connectRaw(server.port);
  client.socket.write(
    `GET / HTTP/1.1\r\n${headers}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: ${protocol}\r\n\r\n`,
  );
  await until(() => /^HTTP\/1.1 200 .*"version":"1.1"/s.test(client.received));
});

test('an expectation that is not known is ignored', async () => {
  await using server = await start();
  using client = connectRaw(server.port);
  client.socket.write(`GET / HTTP/1.1\r\n${headers}Expect: wonders\r\n\r\n`);
  await until(() => client.received.startsWith('HTTP/1.1 200 '));
});

test.each([
  ['garbage', '\x16\x03\x01\x00\xff\r\n\r\n'],
  ['a version that does not exist', `GET / HTTP/9.9\r\n${headers}\r\n`],
  ['a request without a host', 'GET / HTTP/1.1\r\n\r\n'],
  ['a preface that goes wrong', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\rX'],
])('%s is answered with 400', async (_name, sent) => {
  await using server = await start();
  using client = connectRaw(server.port);
  client.socket.write(sent, 'latin1');
  expectRefusal(await client.toEnd(), 400, 'Bad request.');
  await until(() => server.listener.connections === 0);
});

test('headers that are too large are answered with 431', async () => {
  await using server = await start({ maxHeaderBytes: 2048 });
  using client = connectRaw(server.port);
  client.socket.write(`GET / HTTP/1.1\r\n${headers}X-Large: ${'x'.repeat(100_000)}\r\n\r\n`);
  expectRefusal(await client.toEnd(), 431, 'Request header fields too large.');
});

test.each([
  ['headers', `GET / HTTP/1.1\r\n${headers}`],
  ['body', `POST /echo HTTP/1.1\r\n${headers}Content-Type: text/plain\r\nContent-Length: 9\r\n\r\nhalf`],
])('%s without an end: answered with 408', async (_name, sent) => {
  await using server = await start({ headersTimeoutMs: 100, requestTimeoutMs: 100 });
  using client = connectRaw(server.port);
  client.socket.write(sent);
  expectRefusal(await client.toEnd(), 408, 'Request timed out.');
  await until(() => server.listener.connections === 0);
});

test('an answer that the client does not read is given up', async () => {
  await using server = await start({ idleTimeoutMs: 100 });
  using client = connectRaw(server.port);
  client.socket.pause().write(`GET /large HTTP/1.1\r\n${headers}\r\n`);
  await until(() => server.listener.connections === 1);
  await until(() => server.listener.connections === 0);
});

test('so is one of a client that does not read but goes on to send', async () => {
  await using server = await start({ stallTimeoutMs: 100 });
  using client = connectRaw(server.port);
  client.socket.write(`GET /large HTTP/1.1\r\n${headers}\r\nGET / HTTP/1.1\r\nx: `);
  client.socket.pause();
  const sending = setInterval(() => client.socket.write('x'), 20);
  await until(() => server.listener.connections === 1);
  await until(() => server.listener.connections === 0);
  clearInterval(sending);
});

test('one that is read slowly is not', async () => {
  await using server = await start({ stallTimeoutMs: 250 });
  using client = connectRaw(server.port);
  client.socket.write(`GET /large HTTP/1.1\r\n${headers}Connection: close\r\n\r\n`);
  const started = performance.now();
  client.socket.on('data', () => {
    if (performance.now() - started > 1000) return;
    client.socket.pause();
    setTimeout(() => client.socket.resume(), 5);
  });
  expect((await client.toEnd()).length).toBeGreaterThan(large.length);
});

test('a call may take longer than a connection may be idle', async () => {
  await using server = await start({ idleTimeoutMs: 50 });
  using client = connectRaw(server.port);
  client.socket.write(`GET /held HTTP/1.1\r\n${headers}\r\n`);
  await server.held.arrived.opened;
  setTimeout(server.held.released.open, 200);
  await until(() => client.received.endsWith('released'));
});

test('a connection that is kept for nothing is closed', async () => {
  await using server = await start({ keepAliveTimeoutMs: 10, idleTimeoutMs: 100 });
  using client = connectRaw(server.port);
  client.socket.write(`GET / HTTP/1.1\r\n${headers}\r\n`);
  expect(await client.toEnd()).toMatch(/^HTTP\/1.1 200 /);
  await until(() => server.listener.connections === 0);
});

import { once } from 'node:events';
import { type ClientHttp2Session, constants } from 'node:http2';
import { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { connectRaw, large, openSession, start, until } from './testing.ts';

const test = it.concurrent;

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const settings = '\0\0\0\x04\0\0\0\0\0';

test('calls share a connection, beside HTTP/1.1 on the same port', async () => {
  await using server = await start();
  using session = openSession(server.origin);
  const [first, second, other] = await Promise.all([
    text(session.request({ ':path': '/' })),
    text(session.request({ ':path': '/' })),
    fetch(server.origin).then((response) => response.json()),
  ]);
  expect(JSON.parse(first)).toEqual({ version: '2.0', ip: '127.0.0.1' });
  expect(second).toBe(first);
  expect(other).toEqual({ version: '1.1', ip: '127.0.0.1' });
});

test('the preface and all that follows may come byte by byte', async () => {
  await using server = await start();
  using client = connectRaw(server.port);
  const bytewise = new Duplex({
    read() {},
    async write(chunk: Buffer, _encoding, done) {
      for (const byte of chunk) {
        client.socket.write(Buffer.of(byte));
        await nextTurn();
      }
      done();
    },
  });
  client.socket.setEncoding('latin1').on('data', (data: string) => bytewise.push(data, 'latin1'));
  using session = openSession(server.origin, { createConnection: () => bytewise });
  expect(await text(session.request({ ':path': '/' }))).toContain('"version":"2.0"');
});

test('the limits are announced, and headers beyond theirs reset the stream alone', async () => {
  await using server = await start({ maxHeaderBytes: 2048, maxStreamsPerConnection: 7 });
  using session = openSession(server.origin);
  await once(session, 'remoteSettings');
  expect(session.remoteSettings).toMatchObject({ maxConcurrentStreams: 7, maxHeaderListSize: 2048 });
  const large = session.request({ ':path': '/', large: 'x'.repeat(4000) });
  await expect(text(large)).rejects.toThrow('NGHTTP2_ENHANCE_YOUR_CALM');
  expect(await text(session.request({ ':path': '/' }))).toContain('"version":"2.0"');
});

test('many large answers fit into a session', async () => {
  await using server = await start();
  using session = openSession(server.origin);
  await once(session, 'remoteSettings');
  const sizes = Array.from({ length: 16 }, () => session.request({ ':path': '/large' })).map(async (call) => {
    let size = 0;
    for await (const chunk of call) size += Buffer.byteLength(chunk);
    return size;
  });
  expect(new Set(await Promise.all(sizes))).toEqual(new Set([large.length]));
});

test('a body that never ends is given up, and the session lives on', async () => {
  await using server = await start({ requestTimeoutMs: 100 });
  using session = openSession(server.origin);
  const upload = session.request({ ':path': '/echo', ':method': 'POST', 'content-type': 'text/plain' });
  upload.write('half');
  await once(upload, 'close');
  expect(upload.rstCode).toBe(constants.NGHTTP2_CANCEL);
  expect(await text(session.request({ ':path': '/' }))).toContain('"version":"2.0"');
});

test('a call may take longer than a request or a silent connection', async () => {
  await using server = await start({ requestTimeoutMs: 100, idleTimeoutMs: 100 });
  using session = openSession(server.origin);
  const call = text(session.request({ ':path': '/held' }));
  await server.held.arrived.opened;
  setTimeout(server.held.released.open, 300);
  expect(await call).toBe('released');
});

test('the call of a client that has gone is cancelled', async () => {
  await using server = await start();
  using session = openSession(server.origin);
  session.request({ ':path': '/held' }).on('error', () => {});
  await server.held.arrived.opened;
  session.destroy();
  await server.held.closed.opened;
  await until(() => server.listener.connections === 0);
});

test('the calls of a client that ends its side are cancelled', async () => {
  await using server = await start();
  using client = connectRaw(server.port);
  using session = openSession(server.origin, { createConnection: () => client.socket });
  session.request({ ':path': '/held' }).on('error', () => {});
  await server.held.arrived.opened;
  client.socket.end();
  await server.held.closed.opened;
  await until(() => server.listener.connections === 0);
});

test('a session without calls is closed gracefully after a while', async () => {
  await using server = await start({ idleTimeoutMs: 100 });
  using session = openSession(server.origin);
  const goaway = once(session, 'goaway');
  await text(session.request({ ':path': '/' }));
  expect((await goaway)[0]).toBe(constants.NGHTTP2_NO_ERROR);
  await until(() => server.listener.connections === 0);
});

test('an answer that the client does not read is given up, and so is its session', async () => {
  await using server = await start({ idleTimeoutMs: 100 });
  using client = connectRaw(server.port);
  using session = openSession(server.origin, { createConnection: () => client.socket });
  const unread = session.request({ ':path': '/large' });
  await once(unread, 'response');
  await once(unread, 'close');
  expect(unread.rstCode).toBe(constants.NGHTTP2_CANCEL);
  await until(() => server.listener.connections === 0);
});

test('so is one of a client that does not read its socket', async () => {
  await using server = await start({ idleTimeoutMs: 100 });
  using client = connectRaw(server.port);
  using session = openSession(server.origin, {
    createConnection: () => client.socket,
    settings: { initialWindowSize: 2 ** 30 },
  });
  session.on('connect', () => session.setLocalWindowSize(2 ** 30));
  const unread = session.request({ ':path': '/large' }).on('error', () => {});
  await once(unread, 'response');
  client.socket.pause();
  await until(() => server.listener.connections === 0);
});

test('one that is not read is given up also while its client pings, and calls go on beside it', async () => {
  await using server = await start({ stallTimeoutMs: 200 });
  using session = openSession(server.origin);
  const unread = session.request({ ':path': '/large' });
  await once(unread, 'response');
  const pinging = setInterval(() => session.ping(() => {}), 20);
  await once(unread, 'close');
  clearInterval(pinging);
  expect(unread.rstCode).toBe(constants.NGHTTP2_CANCEL);
  expect(await text(session.request({ ':path': '/' }))).toContain('"version":"2.0"');
});

test('so is the connection of a client that does not read its socket but goes on to send', async () => {
  await using server = await start({ stallTimeoutMs: 100 });
  using client = connectRaw(server.port);
  client.socket.pause();
  const write = (frames: string) => client.socket.write(frames, 'latin1');
  const fields = '\x82\x86\x04\x06/large\x01\x09localhost';
  write(`${preface}\0\0\x06\x04\0\0\0\0\0\0\x04\x40\0\0\0`); // settings: windows of 1 GiB
  write('\0\0\x04\x08\0\0\0\0\0\x3f\0\0\0'); // as much for the connection
  write(`\0\0${String.fromCharCode(fields.length)}\x01\x05\0\0\0\x01${fields}`);
  const pinging = setInterval(() => write(`\0\0\x08\x06\0\0\0\0\0${'ping'.repeat(2)}`), 20);
  await until(() => server.listener.connections === 1);
  await until(() => server.listener.connections === 0);
  clearInterval(pinging);
});

test.each([
  ['the preface and nothing else', preface],
  ['half a frame of settings', preface + settings.slice(0, 5)],
])('%s is closed after the time for a handshake', async (_name, sent) => {
  await using server = await start({ handshakeTimeoutMs: 100 });
  using client = connectRaw(server.port);
  client.socket.write(sent, 'latin1');
  await until(() => server.listener.connections === 1);
  await until(() => server.listener.connections === 0);
});

test.each([
  ['that sends settings and nothing else', ''],
  ['that never ends its headers', '\0\0\x01\x01\0\0\0\0\x01\x82'],
])('a client %s, and does not react, is closed', async (_name, sent) => {
  await using server = await start({ idleTimeoutMs: 100 });
  using client = connectRaw(server.port);
  client.socket.write(preface + settings + sent, 'latin1');
  await until(() => server.listener.connections === 1);
  await until(() => server.listener.connections === 0);
});

test('frames that are garbage end their connection alone', async () => {
  await using server = await start({ idleTimeoutMs: 100 });
  using client = connectRaw(server.port);
  client.socket.write(preface + settings + 'garbage'.repeat(100), 'latin1');
  expect(await client.toEnd()).toContain('too large frame size');
  using session = openSession(server.origin);
  expect(await text(session.request({ ':path': '/' }))).toContain('"version":"2.0"');
});

test('a flood of cancelled streams ends its connection, and no other', async () => {
  await using server = await start();
  using flood = openSession(server.origin);
  using session = openSession(server.origin);
  await resetStreams(flood, 3000);
  expect(flood.destroyed).toBe(true);
  expect(await text(session.request({ ':path': '/' }))).toContain('"version":"2.0"');
});

async function resetStreams(session: ClientHttp2Session, count: number): Promise<void> {
  for (let number = 0; number < count && !session.destroyed && !session.closed; number += 1) {
    const stream = session.request({ ':path': '/' }).on('error', () => {});
    stream.close(constants.NGHTTP2_CANCEL);
    if (number % 100 === 0) await nextTurn();
  }
  await until(() => session.destroyed);
}

import { connect as connectHttp2, type SecureClientSessionOptions } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import Fastify from 'fastify';
import { createListener, type ListenerOptions } from './listener.ts';

/** A self-signed certificate for localhost and its key, for tests alone: they protect nothing. */
export const testTls = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXszaO6dbkL5Uq+pR
KLWuaDbQF2Sd7YAcoQYKVfpi4ImhRANCAARXotbM8FSJBRqT1qpBf0+097x5zvGm
vAxMpituwVdpM+QW+4aoWxhoTw4Yj2piWcwT5pccje2C91aSHN4wfco9
-----END PRIVATE KEY-----
`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBezCCASCgAwIBAgIUaTMxjG6UXU4J9erc4eVIKDw8FqMwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAx
MDAwMDAwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARXotbM8FSJBRqT1qpBf0+097x5zvGmvAxMpituwVdpM+QW+4aoWxho
Tw4Yj2piWcwT5pccje2C91aSHN4wfco9o04wTDAPBgNVHRMBAf8EBTADAQH/MBoG
A1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAdBgNVHQ4EFgQUDWXCHAWE82mMb6fk
0mftmRhdKrwwCgYIKoZIzj0EAwIDSQAwRgIhAOs931Ob+DBBu2L7GrLcPqO8pbCN
YJs9f3G1uvHDNqxgAiEA1oQzx/8OZEASRV7/6jg2D01wWzGoPiz9rU6NZ48Inng=
-----END CERTIFICATE-----
`,
};

/** More than the buffers between two sockets of the loopback hold. */
export const large = Buffer.alloc(16 * 1024 * 1024);

/** A Fastify behind a listener on a free port of the loopback. `/held` answers when it is released. `closeMs`: a deadline for `app.close()`. */
export async function start(options: ListenerOptions & { closeMs?: number } = {}) {
  const { closeMs, ...listenerOptions } = options;
  const listener = createListener(listenerOptions);
  const app = Fastify({ ...listener.fastify });
  if (closeMs !== undefined) app.addHook('preClose', () => listener.drain(closeMs));
  const held = { arrived: gate(), released: gate(), closed: gate() };

  app.get('/', (request) => ({ version: request.raw.httpVersion, ip: request.ip }));
  app.post('/echo', (request) => request.body);
  app.get('/large', () => large);
  app.get('/held', async (_request, reply) => {
    reply.raw.once('close', held.closed.open);
    held.arrived.open();
    await held.released.opened;
    return 'released';
  });
  const address = new URL(await app.listen({ host: '127.0.0.1', port: 0 }));
  const port = Number(address.port);

  return {
    app,
    listener,
    held,
    port,
    origin: `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      held.released.open();
      await listener.drain(0);
      await app.close();
    },
  };
}

/** Something that happens once, and can be waited for. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

/** A client of bytes, which never closes its side by itself. */
export function connectRaw(port: number) {
  const socket: Socket = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true });
  let received = '';
  let ended = false;
  socket.setEncoding('latin1');
  socket.on('data', (text: string) => {
    received += text;
  });
  socket.on('end', () => {
    ended = true;
  });
  socket.on('error', () => {});
  return {
    socket,
    get received() {
      return received;
    },
    /** All that the server sends until it closes its side. */
    async toEnd(): Promise<string> {
      await until(() => ended || socket.destroyed);
      return received;
    },
    [Symbol.dispose]() {
      socket.destroy();
    },
  };
}

/** Waits for a condition, and says how many milliseconds that took. The test's own time limit ends it. */
export async function until(condition: () => boolean): Promise<number> {
  const started = performance.now();
  while (!condition()) await sleep(5);
  return performance.now() - started;
}

/** A client of HTTP/2 that is closed by scope, and whose errors are told by its requests. */
export function openSession(origin: string, options: SecureClientSessionOptions = {}) {
  const session = connectHttp2(origin, { rejectUnauthorized: false, ...options }).on('error', () => {});
  return Object.assign(session, { [Symbol.dispose]: () => session.destroy() });
}

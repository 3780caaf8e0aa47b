import { createServer as createTlsServer } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { buildConnector } from 'undici';
import { describe, expect, it } from 'vitest';
import { parseEgressAllow } from './address-policy.ts';
import { EgressError } from './egress-error.ts';
import { createPinnedConnect } from './pinned-connect.ts';
import { certificate, key } from './test-certificate.ts';
import {
  answering,
  connectNowhere,
  failureOf,
  listen,
  publicAddress,
  startClient,
  startHttp,
  startTcp,
} from './test-support.ts';

describe('createPinnedConnect', () => {
  it('dials the checked answer, and refuses a name that has changed its mind', async () => {
    const resolve = answering([publicAddress], ['127.0.0.1']);
    await using client = startClient({ allow: [], resolve, connect: connectNowhere });
    const url = 'http://rebind.example/';
    expect((await failureOf(client.request({ url }))).reason).toBe('unreachable');
    expect(await failureOf(client.request({ url }))).toMatchObject({ reason: 'forbidden', bytesSent: false });
    expect(client.dialled).toEqual([`${publicAddress} 80`]);
  });

  it('refuses a host for one forbidden address among many, and for what is no address', async () => {
    for (const answer of [[publicAddress, '10.0.0.1'], ['2600::1', '::1'], ['localhost'], ['127.1']]) {
      await using client = startClient({ allow: [], resolve: answering(answer), connect: connectNowhere });
      expect((await failureOf(client.request({ url: 'http://mixed.example/' }))).reason).toBe('forbidden');
      expect(client.dialled).toEqual([]);
    }
  });

  it('leaves the forbidden addresses of a host in an opened range', async () => {
    const allow = parseEgressAllow('127.0.0.0/8');
    const resolve = answering(['::1', '127.0.0.1']);
    await using client = startClient({ allow, resolve, connect: connectNowhere });
    expect((await failureOf(client.request({ url: 'http://localhost/' }))).reason).toBe('unreachable');
    expect(client.dialled).toEqual(['127.0.0.1 80']);
  });

  it('dials an allowed literal in its one form', async () => {
    const allow = parseEgressAllow('127.0.0.1,[::1]:8080');
    await using client = startClient({ allow, connect: connectNowhere });
    for (const url of ['http://127.1', 'https://0x7f000001/', 'http://[0:0::1]:8080/']) {
      expect((await failureOf(client.request({ url }))).reason).toBe('unreachable');
    }
    expect((await failureOf(client.request({ url: 'http://[::1]/' }))).reason).toBe('forbidden');
    expect(client.dialled).toEqual(['127.0.0.1 80', '127.0.0.1 443', '::1 8080']);
  });

  it('checks literals itself, whoever asks', async () => {
    const dialled: string[] = [];
    const connect = createPinnedConnect({
      allow: parseEgressAllow('::1'),
      resolve: answering([publicAddress]),
      timeoutMs: 1000,
      onDial: (address, port) => dialled.push(`${address} ${port}`),
      connect: connectNowhere,
    });
    const dial = (hostname: string) =>
      new Promise((resolve) =>
        connect({ hostname, protocol: 'https:', port: '' }, (error, socket) => resolve(error ?? socket)),
      );
    expect(await dial('127.0.0.1')).toMatchObject({ reason: 'forbidden' });
    expect(await dial('::1')).toBeInstanceOf(EgressError);
    expect(dialled).toEqual(['::1 443']);
  });

  it('reaches an allowed name whatever it resolves to, at its port alone', async () => {
    await using server = await startHttp((request, response) => response.end(request.headers.host));
    const allow = parseEgressAllow(`tools.internal:${server.port}`);
    await using client = startClient({ allow, resolve: answering(['127.0.0.1']) });
    const { body } = await client.request({ url: `http://tools.internal:${server.port}/` });
    expect(body.toString()).toBe(`tools.internal:${server.port}`);
    expect((await failureOf(client.request({ url: 'http://tools.internal/' }))).reason).toBe('forbidden');
    expect(client.dialled).toEqual([`127.0.0.1 ${server.port}`]);
  });

  it('tries the next address, the families in turn, four times at most', async () => {
    const resolve = answering(['2600::1', '2600::2', '2600::3', '8.8.8.8', '8.8.4.4']);
    await using client = startClient({ allow: [], resolve, connect: connectNowhere });
    expect((await failureOf(client.request({ url: 'http://many.example/' }))).reason).toBe('unreachable');
    expect(client.dialled).toEqual(['2600::1 80', '8.8.8.8 80', '2600::2 80', '8.8.4.4 80']);
  });

  it('answers from the second address when the first refuses', async () => {
    await using server = await startHttp((_request, response) => response.end('here'));
    const real = buildConnector({});
    await using client = startClient({
      resolve: answering(['127.0.0.9', '127.0.0.1']),
      connect: (target, callback) =>
        target.hostname === '127.0.0.9' ? connectNowhere(target, callback) : real(target, callback),
    });
    const { body } = await client.request({ url: `http://two.example:${server.port}/` });
    expect(body.toString()).toBe('here');
  });

  it('asks once for a name that many wait for, and again later', async () => {
    let asked = 0;
    const resolve = async () => {
      asked += 1;
      return [publicAddress];
    };
    await using client = startClient({ allow: [], resolve, connect: connectNowhere });
    const ask = () => failureOf(client.request({ url: 'http://busy.example/' }));
    await Promise.all(Array.from({ length: 50 }, ask));
    expect(asked).toBe(1);
    await ask();
    expect(asked).toBe(2);
  });

  it('reports a name without an answer', async () => {
    const resolve = async () => {
      throw Object.assign(new Error('getaddrinfo ENOTFOUND gone.example'), { code: 'ENOTFOUND' });
    };
    await using client = startClient({ allow: [], resolve });
    expect(await failureOf(client.request({ url: 'http://gone.example/?key=secret' }))).toMatchObject({
      reason: 'unresolvable',
      message: "The upstream's host name could not be resolved",
      bytesSent: false,
    });
  });
});

describe('TLS', () => {
  it('asks for the host by its name, at the checked address', async () => {
    const names: unknown[] = [];
    const tlsServer = createTlsServer({ key, cert: certificate }, (request, response) => {
      names.push((request.socket as TLSSocket & { servername: unknown }).servername, request.headers.host);
      response.end();
    });
    await using server = await listen(tlsServer);
    await using client = startClient({
      resolve: answering(['127.0.0.1']),
      connect: buildConnector({ ca: certificate }),
    });
    const { status } = await client.request({ url: `https://tools.example.:${server.port}/` });
    expect(status).toBe(200);
    expect(names).toEqual(['tools.example', `tools.example.:${server.port}`]);
    const failure = await failureOf(client.request({ url: `https://other.example:${server.port}/` }));
    expect(failure.message).toBe("The upstream's TLS certificate is for another host");
  });

  it('gives up on a handshake that does not end, after the last address', async () => {
    await using server = await startTcp(() => {});
    await using client = startClient({
      resolve: answering(['127.0.0.1', '127.0.0.1']),
      connectTimeoutMs: 30,
    });
    expect(await failureOf(client.request({ url: `https://slow.example:${server.port}/` }))).toMatchObject({
      reason: 'unreachable',
      message: 'The upstream did not accept a connection in time',
      bytesSent: false,
    });
    expect(client.dialled.length).toBe(2);
  });

  it('refuses a certificate that nobody vouches for', async () => {
    await using server = await listen(createTlsServer({ key, cert: certificate }));
    await using client = startClient();
    expect(await failureOf(client.request({ url: `https://127.0.0.1:${server.port}/` }))).toMatchObject({
      reason: 'unreachable',
      message: "The upstream's TLS certificate is self-signed",
      bytesSent: false,
    });
  });
});

import { describe, expect, it } from 'vitest';
import { forbiddenAddress, parseEgressAllow } from './address-policy.ts';
import {
  answering,
  connectNowhere,
  failureOf,
  publicAddress,
  readRows,
  startClient,
  startHttp,
} from './test-support.ts';

const denyRows = readRows<{ id: string; url: string }>('ssrf-deny.jsonl');
const allowRows = readRows<{ id: string; url: string }>('ssrf-allow.jsonl');
const dnsRows = readRows<{ id: string; url: string; dns: string[][] }>('ssrf-dns.jsonl');
const redirectRows = readRows<{ id: string; status: number; location: string }>('ssrf-redirect.jsonl');

describe('labelled requests', () => {
  it.skipIf(denyRows.length === 0)('dials nothing for ssrf-deny.jsonl', async () => {
    await using client = startClient({
      allow: [],
      resolve: answering([publicAddress]),
      connect: connectNowhere,
    });
    for (const { id, url } of denyRows) {
      expect((await failureOf(client.request({ url }))).reason, id).toBe('forbidden');
    }
    expect(client.dialled).toEqual([]);
  });

  it.skipIf(allowRows.length === 0)('dials a public address for ssrf-allow.jsonl', async () => {
    await using client = startClient({
      allow: [],
      resolve: answering([publicAddress]),
      connect: connectNowhere,
    });
    for (const { id, url } of allowRows) {
      expect((await failureOf(client.request({ url }))).reason, id).toBe('unreachable');
    }
    expect(client.dialled.length).toBe(allowRows.length);
    expect(client.dialled.filter((dialled) => forbiddenAddress(dialled.split(' ')[0] ?? ''))).toEqual([]);
  });

  it.skipIf(dnsRows.length === 0)('dials public answers alone for ssrf-dns.jsonl', async () => {
    for (const { id, url, dns } of dnsRows) {
      const isSilent = dns.flat().includes('@timeout');
      await using client = startClient({
        allow: [],
        resolve: isSilent ? () => new Promise(() => {}) : answering(...dns),
        connect: connectNowhere,
        connectTimeoutMs: 20,
      });
      const reasons: string[] = [];
      for (const _answer of dns) reasons.push((await failureOf(client.request({ url }))).reason);
      const isEmpty = isSilent || dns.flat().length === 0;
      expect(reasons.at(-1), id).toBe(isEmpty ? 'unresolvable' : 'forbidden');
      expect(
        client.dialled.filter((dialled) => dialled !== `${publicAddress} 80`),
        id,
      ).toEqual([]);
    }
  });

  it.skipIf(redirectRows.length === 0)('hands the redirects of ssrf-redirect.jsonl back', async () => {
    let requests = 0;
    await using server = await startHttp((request, response) => {
      const { status = 500, location = '' } = redirectRows[Number(request.url?.slice(1))] ?? {};
      requests += 1;
      response.writeHead(status, { location, refresh: `0;url=${location}` }).end();
    });
    await using client = startClient({ allow: parseEgressAllow(`127.0.0.1:${server.port}`) });
    for (const [index, { id, status, location }] of redirectRows.entries()) {
      const response = await client.request({
        url: `${server.url}/${index}`,
        headers: { authorization: 'secret' },
      });
      expect(response, id).toMatchObject({ status, headers: { location } });
    }
    expect(requests).toBe(redirectRows.length);
    expect(new Set(client.dialled)).toEqual(new Set([`127.0.0.1 ${server.port}`]));
  });
});

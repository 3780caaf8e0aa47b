import { describe, expect, it } from 'vitest';
import { failureOf, startClient, startHttp, startTcp } from './test-support.ts';

describe('request', () => {
  it('sends method, path, headers and body as they are, and asks for compression', async () => {
    await using server = await startHttp(async (request, response) => {
      const { method, url, headers } = request;
      const body = Buffer.concat(await request.toArray()).toString();
      response.writeHead(201, { 'x-many': ['a', 'b'] }).end(JSON.stringify({ method, url, headers, body }));
    });
    await using client = startClient();
    const url = new URL(`${server.url}/run/%7Eme?q=1&q=2#part`);
    const response = await client.request({
      url: url.href,
      method: 'POST',
      headers: { 'X-Key': 'é' },
      body: '{"a":1}',
    });
    expect(response).toMatchObject({ status: 201, headers: { 'x-many': ['a', 'b'] } });
    expect(JSON.parse(response.body.toString())).toMatchObject({
      method: 'POST',
      url: '/run/%7Eme?q=1&q=2',
      headers: {
        host: url.host,
        'x-key': 'é',
        'accept-encoding': 'gzip, deflate',
        'content-length': '7',
      },
      body: '{"a":1}',
    });
    const plain = await client.request({ url: server.url, headers: { 'Accept-Encoding': 'identity' } });
    expect(JSON.parse(plain.body.toString()).headers['accept-encoding']).toBe('identity');
  });

  it('keeps a connection for the next request', async () => {
    await using server = await startHttp((_request, response) => response.end());
    await using client = startClient();
    for (let count = 0; count < 5; count += 1) await client.request({ url: server.url });
    // A connection is free again a turn of the event loop later than its response.
    expect(client.dialled.length).toBeLessThanOrEqual(2);
  });

  it('has 200 requests under way at once, with one signal', async () => {
    const waiting: (() => void)[] = [];
    await using server = await startHttp((_request, response) => {
      waiting.push(() => response.end());
      if (waiting.length === 200) for (const answer of waiting) answer();
    });
    await using client = startClient();
    const { signal } = new AbortController();
    const requests = Array.from({ length: 200 }, () => client.request({ url: server.url, signal }));
    const responses = await Promise.all(requests);
    expect(responses.every(({ status }) => status === 200)).toBe(true);
  });

  it('lets requests beyond the connections wait for their turn', async () => {
    await using server = await startHttp((_request, response) => response.end());
    await using client = startClient({ connectionsPerOrigin: 2 });
    await Promise.all(Array.from({ length: 20 }, () => client.request({ url: server.url })));
    expect(client.dialled.length).toBe(2);
  });

  it('takes headers with hostile names as names', async () => {
    await using server = await startTcp((socket) => {
      socket.end('HTTP/1.1 200 OK\r\n__proto__: a\r\nconstructor: b\r\ncontent-length: 0\r\n\r\n');
    });
    await using client = startClient();
    const { headers } = await client.request({ url: server.url });
    expect(Object.entries(headers)).toEqual([
      ['__proto__', 'a'],
      ['constructor', 'b'],
      ['content-length', '0'],
    ]);
  });

  it.each([
    [{ method: 'CONNECT' }, 'The method must not be CONNECT or TRACE'],
    [{ method: 'TRACE' }, 'The method must not be CONNECT or TRACE'],
    [{ method: 'GET / HTTP/1.1\r\n' }, 'The method must be upper-case letters'],
    [
      { headers: { a: 'b\r\nc: d' } },
      'A header must not have line breaks or control characters in its value',
    ],
    [{ headers: { 'a\r\nb': 'c' } }, 'A header must have a name of letters, digits and hyphens'],
    [{ headers: { Host: 'metadata.internal' } }, 'A header must not be one that belongs to the connection'],
    [
      { headers: { 'transfer-encoding': 'chunked' } },
      'A header must not be one that belongs to the connection',
    ],
    [{ url: 'http://user:secret@127.0.0.1/' }, 'The URL must not hold a user name or a password'],
    [{ url: 'http://10.0.0.1/' }, 'The URL must not lead to an address that is not public (Private-Use)'],
  ])('refuses %j', async (request, message) => {
    await using client = startClient();
    const failure = await failureOf(client.request({ url: 'http://127.0.0.1/', ...request }));
    expect(failure).toMatchObject({ reason: 'forbidden', message, bytesSent: false });
    expect(client.dialled).toEqual([]);
  });
});

describe('close', () => {
  it('cancels what is under way and what comes later, as often as it is called', async () => {
    await using server = await startHttp(() => {});
    const client = startClient();
    const silent = startClient({ connect: () => {} });
    const underWay = [client.request({ url: server.url }), silent.request({ url: server.url })];
    const failures = Promise.all(underWay.map(failureOf));
    await Promise.all([client.close(), client.close(), silent.close()]);
    await client.close();
    expect((await failures).map(({ reason }) => reason)).toEqual(['canceled', 'canceled']);
    expect((await failureOf(client.request({ url: server.url }))).reason).toBe('canceled');
  });
});

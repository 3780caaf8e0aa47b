import { brotliCompressSync, createGzip, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it, vi } from 'vitest';
import { createSharedBudget } from '../shared-budget.ts';
import { failureOf, startClient, startHttp } from './test-support.ts';

const text = Buffer.from('tool '.repeat(10_000));

/** The outcome of asking a server that answers with these bytes under this content encoding. */
async function fetchEncoded(
  encoding: string,
  bytes: Buffer,
  options: { maxResponseBytes?: number; method?: string } = {},
) {
  await using server = await startHttp((_request, response) => {
    response.writeHead(200, { 'content-encoding': encoding }).end(bytes);
  });
  await using client = startClient();
  return await client.request({ url: server.url, ...options });
}

describe('memory', () => {
  it.each(['identity', 'gzip'])(
    'is taken as a body grows, in %s, and given back when it ends',
    async (encoding) => {
      await using server = await startHttp((_request, response) => {
        response.writeHead(200, { 'content-encoding': encoding });
        response.end(encoding === 'gzip' ? gzipSync(text) : text);
      });
      const memory = createSharedBudget({ total: 200_000, perUser: 0 });
      await using client = startClient({ memory });
      for (let time = 0; time < 3; time++) {
        expect((await client.request({ url: server.url })).body.equals(text)).toBe(true);
        expect(memory.taken).toBe(0);
      }
    },
  );

  it.each(['identity', 'gzip'])(
    'bounds bodies that stop before their end, in %s, together',
    async (encoding) => {
      const bytes = encoding === 'gzip' ? gzipSync(text) : text;
      await using server = await startHttp((_request, response) => {
        // All but the end.
        response.writeHead(200, { 'content-encoding': encoding }).write(bytes.subarray(0, bytes.length - 1));
      });
      const memory = createSharedBudget({ total: 200_000, perUser: 0 });
      await using client = startClient({ memory });
      const gone = new AbortController();
      let exhausted = 0;
      const requests = Array.from({ length: 20 }, async () => {
        const failure = await failureOf(client.request({ url: server.url, signal: gone.signal }));
        if (failure.reason === 'exhausted') exhausted++;
        return failure;
      });
      await vi.waitFor(() => expect(exhausted).toBeGreaterThan(10), { timeout: 5000, interval: 5 });
      expect(memory.taken).toBeGreaterThan(0);
      gone.abort();
      const reasons = new Set((await Promise.all(requests)).map(({ reason }) => reason));
      expect(reasons).toEqual(new Set(['exhausted', 'canceled']));
      expect(memory.taken).toBe(0);
    },
  );

  it('is given back when a body is too large or cannot be read', async () => {
    const memory = createSharedBudget({ total: 200_000, perUser: 0 });
    await using server = await startHttp(({ url }, response) => {
      response.writeHead(200, { 'content-encoding': url === '/gzip' ? 'gzip' : 'identity' }).end(text);
    });
    await using client = startClient({ memory });
    const large = client.request({ url: server.url, maxResponseBytes: text.length - 1 });
    expect((await failureOf(large)).reason).toBe('too_large');
    expect((await failureOf(client.request({ url: `${server.url}/gzip` }))).reason).toBe('invalid_response');
    expect(memory.taken).toBe(0);
  });
});

describe('decompression', () => {
  it.each([
    ['gzip', gzipSync(text)],
    ['X-GZIP', gzipSync(text)],
    ['deflate', deflateSync(text)],
    ['deflate', deflateRawSync(text)],
    ['identity', text],
    ['gzip, deflate', deflateSync(gzipSync(text))],
    ['deflate, identity, gzip', gzipSync(deflateSync(text))],
  ])('undoes %s', async (encoding, bytes) => {
    expect((await fetchEncoded(encoding, bytes)).body.equals(text)).toBe(true);
  });

  it.each([
    ['gzip, gzip, gzip', gzipSync(gzipSync(gzipSync(text)))],
    ['zstd', text],
    ['gzip', text],
    ['gzip', gzipSync(text).subarray(0, -20)],
    ['br', brotliCompressSync(text)],
    ['deflate', text],
  ])('calls %s that cannot be undone an invalid response', async (encoding, bytes) => {
    const failure = await failureOf(fetchEncoded(encoding, bytes));
    expect(failure).toMatchObject({ reason: 'invalid_response', bytesSent: true });
  });

  it('needs no bytes where there is no body', async () => {
    expect((await fetchEncoded('zstd', Buffer.alloc(0))).body.length).toBe(0);
    expect((await fetchEncoded('gzip', gzipSync(text), { method: 'HEAD' })).body.length).toBe(0);
  });
});

describe('the limit', () => {
  it('counts the decompressed bytes, to the byte', async () => {
    for (const [encoding, bytes] of [
      ['identity', text],
      ['gzip', gzipSync(text)],
    ] as const) {
      const { body } = await fetchEncoded(encoding, bytes, { maxResponseBytes: text.length });
      expect(body.equals(text)).toBe(true);
      const failure = await failureOf(fetchEncoded(encoding, bytes, { maxResponseBytes: text.length - 1 }));
      expect(failure).toMatchObject({ reason: 'too_large', bytesSent: true });
    }
  });

  it.each([
    ['gzip', gzipSync(Buffer.alloc(20_000_000))],
    ['gzip, gzip', gzipSync(gzipSync(Buffer.alloc(20_000_000)))],
  ])('ends a bomb in %s', async (encoding, bytes) => {
    expect((await failureOf(fetchEncoded(encoding, bytes, { maxResponseBytes: 100_000 }))).reason).toBe(
      'too_large',
    );
  });

  it('ends a stream that yields nothing', async () => {
    // Every member of such a gzip stream is valid, and empty.
    const bytes = Buffer.alloc(400_000, gzipSync(''));
    expect((await failureOf(fetchEncoded('gzip', bytes, { maxResponseBytes: 100_000 }))).reason).toBe(
      'too_large',
    );
  });

  it.each(['identity', 'gzip'])('ends an endless body in %s, and its connection', async (encoding) => {
    let ended = () => {};
    const closed = new Promise<void>((resolve) => {
      ended = resolve;
    });
    await using server = await startHttp((_request, response) => {
      response.writeHead(200, { 'content-encoding': encoding }).on('close', ended);
      const zip = encoding === 'gzip' ? createGzip() : undefined;
      zip?.pipe(response);
      const target = zip ?? response;
      const chunk = Buffer.alloc(16_384);
      const pump = () => {
        while (!response.destroyed && target.write(chunk));
        if (!response.destroyed) target.once('drain', pump);
      };
      pump();
    });
    await using client = startClient();
    const failure = await failureOf(client.request({ url: server.url, maxResponseBytes: 100_000 }));
    expect(failure.reason).toBe('too_large');
    await closed;
  });

  it('takes a large compressed body that comes faster than it is read', async () => {
    const large = Buffer.alloc(3_000_000, 'abcdefgh');
    large.forEach((_byte, index) => {
      if (index % 7 === 0) large[index] = (index * 2_654_435_761) >>> 24;
    });
    const { body } = await fetchEncoded('gzip', gzipSync(large), { maxResponseBytes: large.length });
    expect(body.equals(large)).toBe(true);
  });
});

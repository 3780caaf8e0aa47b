import { brotliCompressSync, createGzip, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
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

describe('decompression', () => {
  it.each([
    ['gzip', gzipSync(text)],
    ['X-GZIP', gzipSync(text)],
    ['br', brotliCompressSync(text)],
    ['deflate', deflateSync(text)],
    ['deflate', deflateRawSync(text)],
    ['identity', text],
    ['gzip, br', brotliCompressSync(gzipSync(text))],
    ['br, identity, gzip', gzipSync(brotliCompressSync(text))],
  ])('undoes %s', async (encoding, bytes) => {
    expect((await fetchEncoded(encoding, bytes)).body.equals(text)).toBe(true);
  });

  it.each([
    ['gzip, gzip, gzip', gzipSync(gzipSync(gzipSync(text)))],
    ['zstd', text],
    ['gzip', text],
    ['gzip', gzipSync(text).subarray(0, -20)],
    ['br', text],
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
    ['br', brotliCompressSync(Buffer.alloc(20_000_000), { params: { 1: 1 } })],
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

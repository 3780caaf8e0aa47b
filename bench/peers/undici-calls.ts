import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agent, request } from 'undici';
import { servePeer } from './peer.ts';

// What calling costs at the least: takes `{"url", "count"}`, posts to the URL so many times in parallel with undici, and
// answers with what came back. No tools, no checks, no limits, no log.

const dispatcher = new Agent({ connections: 256, pipelining: 1 });

async function call(url: string): Promise<string> {
  const answer = await request(url, {
    dispatcher,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: 'heat', page: 1 }),
  });
  return answer.body.text();
}

const server = createServer((incoming, response) => {
  const chunks: Buffer[] = [];
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
  incoming.on('end', async () => {
    const { url, count } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as {
      url: string;
      count: number;
    };
    const results = await Promise.all(Array.from({ length: count }, () => call(url)));
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ results }));
  });
});
server.listen({ port: 0, host: '127.0.0.1' });
await once(server, 'listening');
servePeer((server.address() as AddressInfo).port);

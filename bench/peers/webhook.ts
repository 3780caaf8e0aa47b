import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { servePeer } from './peer.ts';

// Somebody's endpoint. `/echo` answers what it was sent, `/slow` does after 100 ms, `/late` after 2 s; everything else
// is never answered.

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const answer = () => {
      response.setHeader('content-type', 'application/json');
      response.end(Buffer.concat(chunks));
    };
    if (request.url === '/echo') answer();
    else if (request.url === '/slow') setTimeout(answer, 100);
    else if (request.url === '/late') setTimeout(answer, 2000);
  });
});
server.keepAliveTimeout = 60_000;
server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 });
await once(server, 'listening');
servePeer((server.address() as AddressInfo).port);

import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { servePeer } from './peer.ts';

// Endpoints that mean harm, by path: /drip sends a byte now and then, /brim does so after almost as much as is taken,
// /endless never ends, /bomb unpacks to 100 MiB, /never does not answer.

const BOMB = gzipSync(Buffer.alloc(100 * 1024 * 1024));
const BRIM = Buffer.alloc(1024 * 1024 - 100, 'x');
const CHUNK = Buffer.alloc(64 * 1024, 'x');

const answers: Readonly<Record<string, (response: ServerResponse) => void>> = {
  '/drip': drip,
  '/brim'(response) {
    response.write(BRIM);
    drip(response);
  },
  '/endless'(response) {
    const pump = () => {
      while (!response.destroyed && response.write(CHUNK));
    };
    response.on('drain', pump);
    pump();
  },
  '/bomb': (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(BOMB),
};

function drip(response: ServerResponse): void {
  const timer = setInterval(() => response.write('x'), 100);
  response.once('close', () => clearInterval(timer));
}

const server = createServer((request, response) => {
  request.resume();
  answers[request.url ?? '']?.(response);
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 });
await once(server, 'listening');
servePeer((server.address() as AddressInfo).port);

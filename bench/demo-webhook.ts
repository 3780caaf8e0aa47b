import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Stands for the APIs that the tools call. */
export interface DemoWebhook extends AsyncDisposable {
  /** `host:port` */
  readonly endpoint: string;
  /** Takes note of an answer of its own, once; false for a text that it never sent or that was taken before. */
  take(answer: string): boolean;
}

/** What it answers with. */
export interface DemoAnswer {
  readonly tool: string;
  readonly arguments: unknown;
  /** No two answers have the same. */
  readonly receipt: string;
}

/** Starts an endpoint on a free port of loopback that answers with the last part of its path and what it was sent. */
export async function startDemoWebhook(): Promise<DemoWebhook> {
  const sent = new Set<string>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const answer: DemoAnswer = {
        tool: request.url?.split('/').at(-1) ?? '',
        arguments: JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown,
        receipt: randomUUID(),
      };
      const text = JSON.stringify(answer);
      sent.add(text);
      response.setHeader('content-type', 'application/json');
      response.end(text);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `127.0.0.1:${port}`,
    take: (answer) => sent.delete(answer),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

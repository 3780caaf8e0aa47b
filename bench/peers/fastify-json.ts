import type { AddressInfo } from 'node:net';
import Fastify, { LogController } from 'fastify';
import { TOOLS_PATH, VALIDATE_PATH } from '../requests.ts';
import { servePeer } from './peer.ts';

// Fastify's routes without any work to do: they parse the request, log one line, and answer a constant. The first
// argument is the list of tools to answer with.

const [, , list = '[]'] = process.argv;

const app = Fastify({
  logger: { level: 'info' },
  logController: new LogController({ disableRequestLogging: true }),
});
app.addHook('onResponse', async (request, reply) => {
  const { method, url } = request;
  request.log.info({ method, path: url, status: reply.statusCode, durationMs: reply.elapsedTime }, 'request');
});
app.get(TOOLS_PATH, async (_request, reply) => reply.type('application/json; charset=utf-8').send(list));
app.post(VALIDATE_PATH, async (_request, reply) => reply.code(204).send());

await app.listen({ host: '127.0.0.1', port: 0 });
servePeer((app.server.address() as AddressInfo).port);

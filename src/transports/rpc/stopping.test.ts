import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { credentials, loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { expect, it } from 'vitest';
import { packageRoot } from '../../package-root.ts';
import { startTestService } from '../../testing/start-test-service.ts';

interface Loaded {
  grpc: { health: { v1: { Health: ServiceClientConstructor } } };
}

it('tells those who watch that it is not serving any more, and stops without waiting for them', async () => {
  await using service = await startTestService({ SHUTDOWN_TIMEOUT: '10s' });
  const definition = loadSync('grpc/health/v1/health.proto', {
    includeDirs: [join(packageRoot, 'proto')],
    enums: String,
  });
  const { Health } = (loadPackageDefinition(definition) as unknown as Loaded).grpc.health.v1;
  const client = new Health(new URL(service.url).host, credentials.createInsecure());
  const told: string[] = [];
  const watch = client
    .watch?.({ service: '' })
    .on('error', () => {})
    .on('data', ({ status }: { status: string }) => told.push(status));
  await once(watch, 'data');
  const ended = once(watch, 'status');
  const start = performance.now();
  await service.close();
  await ended;
  expect(performance.now() - start).toBeLessThan(5000);
  expect(told).toEqual(['SERVING', 'NOT_SERVING']);
  client.close();
});

it('says that it is not ready and serves on for as long as a balancer needs to hear of it', async () => {
  await using service = await startTestService({ SHUTDOWN_DELAY: '600ms' });
  const start = performance.now();
  const closed = service.close();
  // On connections that are new, as on those that were there.
  const fresh = { headers: { connection: 'close' } };
  expect((await fetch(`${service.url}/readyz`, fresh)).status).toBe(503);
  expect((await fetch(`${service.url}/healthz`, fresh)).status).toBe(200);
  expect((await fetch(`${service.url}/ms7/api/v1/tools/`, fresh)).status).toBe(401);
  await closed;
  expect(performance.now() - start).toBeGreaterThanOrEqual(590);
  await expect(fetch(`${service.url}/healthz`, fresh)).rejects.toThrow();
});

it('answers an RPC over HTTP/1.0, which knows no host', async () => {
  await using service = await startTestService();
  const { hostname, port } = new URL(service.url);
  const socket = connect(Number(port), hostname);
  const head =
    'POST /tool.ToolService/ListTools HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 2';
  socket.write(`${head}\r\n\r\n{}`);
  let answer = '';
  for await (const chunk of socket) answer += String(chunk);
  expect(answer).toMatch(/^HTTP\/1\.1 401 /);
  expect(answer).toContain('"code":"unauthenticated"');
});

import { isIP } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { isAdministrator } from '../../caller.ts';
import type { Metrics } from '../../metrics.ts';
import type { Readiness } from '../../readiness.ts';
import type { AdmissionContext } from '../admit.ts';
import { HttpError, throttled, unauthorized } from './errors.ts';

export interface OperationsContext extends AdmissionContext {
  readonly metrics: Metrics;
  readonly ready: () => Promise<Readiness>;
}

const FORWARDING_HEADER = /^(?:forwarded|via|x-real-ip|x-forwarded-.+)$/;

/** Health and metrics, for those who run the service. */
export function registerOperationsRoutes(app: FastifyInstance, context: OperationsContext): void {
  app.get('/healthz', async () => ({ status: 'ok' }));

  app.get('/readyz', async (_request, reply) => {
    const { isReady, ...rest } = await context.ready();
    return reply.code(isReady ? 200 : 503).send({ status: isReady ? 'ready' : 'unavailable', ...rest });
  });

  app.get('/metrics', async (request, reply) => {
    await requireOperator(context, request);
    return reply.type(context.metrics.contentType).send(await context.metrics.render());
  });
}

/** Metrics are for services of the platform, administrators, and who is on this machine. */
async function requireOperator(context: AdmissionContext, request: FastifyRequest): Promise<void> {
  const authentication = await context.authenticate(request.headers.authorization);
  if (authentication.kind === 'anonymous' && isLocal(request)) return;
  const seconds = await context.throttle.take(authentication, request.ip);
  if (seconds > 0) throw throttled(seconds);
  if (authentication.kind === 'refused') throw unauthorized(authentication.refusal);
  if (authentication.kind === 'caller') {
    const { caller } = authentication;
    if (caller.kind === 'service' || isAdministrator(caller)) return;
  }
  throw new HttpError(403, { detail: 'You do not have permission to perform this action.' });
}

/** Whether the socket itself is on loopback and no proxy speaks for someone else. */
function isLocal(request: FastifyRequest): boolean {
  if (Object.keys(request.headers).some((name) => FORWARDING_HEADER.test(name))) return false;
  const address = request.socket.remoteAddress ?? '';
  const plain = address.startsWith('::ffff:') ? address.slice(7) : address;
  return plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'));
}

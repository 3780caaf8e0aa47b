import { isIP } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { isAdministrator } from '../../caller.ts';
import type { Metrics } from '../../metrics.ts';
import { HttpError, throttled, unauthorized } from './errors.ts';
import type { GuardContext } from './guard.ts';

export interface OperationsContext extends GuardContext {
  readonly metrics: Metrics;
  /** Resolves when the service can do its work; rejects with a reason that may be shown. */
  readonly ready: () => Promise<void>;
}

const FORWARDING_HEADER = /^(?:forwarded|via|x-real-ip|x-forwarded-.+)$/;

/** Health and metrics, for those who run the service. */
export function registerOperationsRoutes(app: FastifyInstance, context: OperationsContext): void {
  app.get('/healthz', async () => ({ status: 'ok' }));

  app.get('/readyz', async (_request, reply) => {
    try {
      await context.ready();
      return { status: 'ready' };
    } catch (error) {
      const reason = error instanceof Error ? error.message : 'not ready';
      return reply.code(503).send({ status: 'unavailable', reason });
    }
  });

  app.get('/metrics', async (request, reply) => {
    requireOperator(context, request);
    return reply.type(context.metrics.contentType).send(await context.metrics.render());
  });
}

/** Metrics are for services of the platform, administrators, and who is on this machine. */
function requireOperator(context: GuardContext, request: FastifyRequest): void {
  const authentication = context.authenticate(request.headers.authorization);
  if (authentication.kind === 'anonymous' && isLocal(request)) return;
  const seconds = context.throttle.take(authentication, request.ip);
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

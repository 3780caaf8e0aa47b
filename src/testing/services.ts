import { connect } from 'node:net';

/** The servers that some tests need, where tests look for each, and the port when its URL says none. */
const SERVICES = {
  postgres: { url: process.env.TEST_POSTGRES_URL ?? 'postgres://root@127.0.0.1:5432/test', port: 5432 },
  rabbitmq: { url: process.env.TEST_RABBITMQ_URL ?? 'amqp://guest:guest@127.0.0.1:5672', port: 5672 },
  redis: { url: process.env.TEST_REDIS_URL ?? 'redis://127.0.0.1:6379', port: 6379 },
} as const;

export type ServiceName = keyof typeof SERVICES;

/** What happens without it. */
const INSTEAD: Record<ServiceName, string> = {
  postgres: 'PGlite stands in for it where it can, other tests that need it are left out',
  rabbitmq: 'tests that need it are left out',
  redis: 'tests that need it are left out',
};

const CONNECT_MS = 2000;

/** Where tests find a server. */
export function serviceUrl(name: ServiceName): string {
  return SERVICES[name].url;
}

const known = new Map<ServiceName, Promise<boolean>>();

/**
 * Whether a server is missing, for `describe.skipIf(await isMissing('redis'))`; said in one line on stderr. With
 * `REQUIRE_SERVICES=1` a missing server is a failure.
 */
export function isMissing(name: ServiceName): Promise<boolean> {
  const before = known.get(name);
  if (before) return before;
  const found = answers(name).then((isThere) => {
    if (isThere) return false;
    const line = `no ${name} at ${SERVICES[name].url}`;
    if (process.env.REQUIRE_SERVICES === '1') throw new Error(`${line}, and REQUIRE_SERVICES=1 asks for it`);
    const told = process.env.TEST_TOLD_OF ?? '';
    // Once, though each process of a run looks for itself.
    if (!told.includes(name)) process.stderr.write(`SKIPPED: ${line}: ${INSTEAD[name]}\n`);
    process.env.TEST_TOLD_OF = `${told} ${name}`;
    return true;
  });
  known.set(name, found);
  return found;
}

function answers(name: ServiceName): Promise<boolean> {
  const { hostname, port } = new URL(SERVICES[name].url);
  const socket = connect({ host: hostname, port: Number(port) || SERVICES[name].port });
  return new Promise<boolean>((resolve) => {
    socket.setTimeout(CONNECT_MS);
    for (const event of ['error', 'timeout'] as const) socket.once(event, () => resolve(false));
    socket.once('connect', () => resolve(true));
  }).finally(() => socket.destroy());
}

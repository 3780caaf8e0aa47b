import { setMaxListeners } from 'node:events';
import type { DescService } from '@bufbuild/protobuf';
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from '@connectrpc/connect';
import {
  type Health,
  type HealthCheckRequest,
  HealthCheckResponse_ServingStatus as Status,
} from '../../gen/grpc/health/v1/health_pb.ts';
import type { Readiness } from '../../readiness.ts';

/** How often `Watch` looks for a change, in milliseconds. */
const WATCH_INTERVAL_MS = 1000;

/**
 * gRPC's health checking: https://github.com/grpc/grpc/blob/master/doc/health-checking.md
 *
 * @param stopping ends those who watch: the last that they are told is NOT_SERVING.
 */
export function createHealthRpcs(
  ready: () => Promise<Pick<Readiness, 'isReady'>>,
  stopping: AbortSignal,
  services: readonly DescService[],
) {
  // Each watcher listens on it; Node would take so many listeners for a leak.
  setMaxListeners(0, stopping);
  const known = new Set(['', ...services.map(({ typeName }) => typeName)]);
  const statusOf = (service: string) =>
    known.has(service)
      ? ready().then(({ isReady }) => (isReady ? Status.SERVING : Status.NOT_SERVING))
      : Promise.resolve(Status.SERVICE_UNKNOWN);

  return {
    async check({ service }: HealthCheckRequest) {
      const status = await statusOf(service);
      if (status === Status.SERVICE_UNKNOWN) throw new ConnectError('unknown service', Code.NotFound);
      return { status };
    },

    async *watch({ service }: HealthCheckRequest, { signal }: HandlerContext) {
      let last: Status | undefined;
      while (!signal.aborted) {
        const status = await statusOf(service);
        if (status !== last) yield { status };
        last = status;
        if (stopping.aborted) return;
        await pause([signal, stopping]);
      }
    },
  } satisfies ServiceImpl<typeof Health>;
}

function pause(signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, WATCH_INTERVAL_MS);
    for (const signal of signals) signal.addEventListener('abort', done);
  });
}

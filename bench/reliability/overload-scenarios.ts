import { create, toBinary } from '@bufbuild/protobuf';
import { ExecuteMultipleToolsRequestSchema } from '../../src/gen/tool/tool_pb.ts';
import { sampleTools, webhookDefinition } from '../examples.ts';
import type { HttpRequest } from '../load-job.ts';
import { grpcRequest, requestsOf, TOOLS_PATH } from '../requests.ts';
import { post } from '../scene.ts';
import type { SeededDatabase } from '../seed.ts';
import { JWT_KEY } from '../service-process.ts';
import { signToken } from '../token.ts';
import type { OverloadJob } from './overload-load.ts';

/** What is asked, and over how many connections. */
export type Job = Omit<OverloadJob, 'port' | 'durationMs' | 'rate' | 'deadlineMs'>;

export type Target = 'goodput' | 'refusals' | 'memory' | 'recovery';

export interface Scenario {
  readonly title: string;
  /** The targets that the service is said to reach in it. */
  readonly claims: readonly Target[];
  readonly settings?: Readonly<Record<string, string>>;
  /** `closed` finds the peak, with just enough calls in flight; `open` has room for the overload. */
  prepare(origin: string, database: SeededDatabase, webhookUrl: string): Promise<{ closed: Job; open: Job }>;
}

const restList = (connections: number): Scenario['prepare'] => {
  return async (_origin, { owners }) => {
    const requests = owners.map((owner) => requestsOf.restList(owner, JWT_KEY));
    const job = { protocol: 'http1', requests, maxInFlight: 1 } as const;
    return { closed: { ...job, connections: 32 }, open: { ...job, connections } };
  };
};

export const scenarios: Readonly<Record<string, Scenario>> = {
  'rest-list': {
    title: 'REST list over 128 connections of HTTP/1.1',
    claims: ['goodput', 'refusals', 'memory', 'recovery'],
    prepare: restList(128),
  },
  'rest-crowd': {
    title: 'REST list over 1000 connections of HTTP/1.1',
    claims: ['memory'],
    prepare: restList(1000),
  },
  'validate-tools': {
    title: 'gRPC ValidateTools over 8 connections, as many calls in flight as the service allows',
    claims: ['goodput', 'memory', 'recovery'],
    async prepare(_origin, { owners }) {
      const requests = owners.map((owner) => requestsOf.validateTools(owner, JWT_KEY));
      const job = { protocol: 'http2', requests, connections: 8 } as const;
      return { closed: { ...job, maxInFlight: 4 }, open: { ...job, maxInFlight: 1000 } };
    },
  },
  execute: {
    title: 'gRPC ExecuteMultipleTools, a webhook of 100 ms, at most 30 at a time',
    claims: ['memory', 'recovery'],
    settings: { MAX_RUNNING_CALLS: '30', MAX_QUEUED_CALLS_PER_USER: '10' },
    async prepare(origin, { owners }, webhookUrl) {
      const [tool] = sampleTools;
      if (!tool) throw new Error('the sample of tools is empty');
      const definition = webhookDefinition(tool, `${webhookUrl}/slow`);
      const requests: HttpRequest[] = [];
      for (const { userId } of owners.slice(0, 8)) {
        const token = signToken(JWT_KEY, userId);
        await post(`${origin}${TOOLS_PATH}`, token, { name: 'slow', definition });
        const toolCalls = [{ id: '1', name: 'slow', arguments: { query: 'heat', page: 1 } }];
        const message = create(ExecuteMultipleToolsRequestSchema, { userId, toolCalls });
        const bytes = toBinary(ExecuteMultipleToolsRequestSchema, message);
        requests.push(grpcRequest('ExecuteMultipleTools', token, bytes));
      }
      const job = { protocol: 'http2', requests, connections: 8, mark: 'success' } as const;
      return { closed: { ...job, maxInFlight: 5 }, open: { ...job, maxInFlight: 1000 } };
    },
  },
};

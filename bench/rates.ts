import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { type Child, startChild } from './child.ts';
import type { Effort } from './effort.ts';
import type { LoadJob, LoadResult } from './load-job.ts';
import type { PeerReady, PeerUsage } from './peers/peer.ts';
import { atMost, type Finding, formatTable, type Row, show } from './report.ts';
import { requestsOf } from './requests.ts';
import { cpuMsOf, hasProc } from './resources.ts';
import { makeScratchFolder } from './scratch.ts';
import type { SeededDatabase } from './seed.ts';
import { JWT_KEY, type ServiceProcess, startServiceProcess } from './service-process.ts';
import { median } from './statistics.ts';

export type Load = Child<LoadJob, LoadResult>;
type PeerName = keyof typeof peerTitles;

const peerTitles = {
  'grpc-js': 'no-op, @grpc/grpc-js',
  'raw-http2': 'fixed bytes, http2',
  'fastify-json': 'constant, Fastify',
};

/** A kind of call, and the servers without any work to do that it is measured against: the first one first. */
interface Scenario {
  readonly title: string;
  readonly protocol: LoadJob['protocol'];
  readonly status: number;
  readonly request: (typeof requestsOf)[keyof typeof requestsOf];
  readonly peers: readonly [PeerName, ...PeerName[]];
}

export const scenarios = {
  'validate-tools': {
    title: 'gRPC ValidateTools, 5 ids',
    protocol: 'grpc',
    status: 200,
    request: requestsOf.validateTools,
    peers: ['grpc-js', 'raw-http2'],
  },
  'get-tool-definitions': {
    title: 'gRPC GetToolDefinitions, 5 ids',
    protocol: 'grpc',
    status: 200,
    request: requestsOf.getToolDefinitions,
    peers: ['grpc-js', 'raw-http2'],
  },
  'rest-list': {
    title: 'REST list of 12 tools',
    protocol: 'rest',
    status: 200,
    request: requestsOf.restList,
    peers: ['fastify-json'],
  },
  'rest-validate': {
    title: 'REST validate, 5 ids',
    protocol: 'rest',
    status: 204,
    request: requestsOf.restValidate,
    peers: ['fastify-json'],
  },
} satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof scenarios;

/** One measurement of one server. */
interface Sample {
  readonly callsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMsPerCall: number;
}

/** A server under measurement. */
interface Server {
  readonly title: string;
  readonly origin: string;
  cpuMs(): Promise<number>;
  readonly samples: Sample[];
}

/** The job that a scenario gives the load generator, for a server with the tools of this database. */
export function loadJob(
  name: ScenarioName,
  origin: string,
  { owners }: Pick<SeededDatabase, 'owners'>,
  durationMs: number,
): LoadJob {
  const { protocol, status, request }: Scenario = scenarios[name];
  // As many tokens, whether they are of one user or of many, so that what is kept of a token serves all alike.
  const bearers = Array.from({ length: 32 }, (_, index) => owners[index % owners.length]);
  return {
    protocol,
    status,
    origin,
    requests: bearers.flatMap((owner) => (owner ? [request(owner, JWT_KEY)] : [])),
    connections: 8,
    callsPerConnection: protocol === 'grpc' ? 4 : 1,
    durationMs,
    maxCalls: 100_000,
  };
}

/**
 * Measures the scenarios in alternating rounds: the service with a few tools, the service with many, and the peers.
 *
 * @returns the table, and for each scenario how much its cost grows with the number of tools.
 */
export async function measureRates(
  names: readonly ScenarioName[],
  effort: Effort,
  load: Load,
  databases: { small: SeededDatabase; large: SeededDatabase },
): Promise<{ table: string; findings: Finding[] }> {
  await using small = await startServiceProcess({ databaseFile: databases.small.file });
  await using large = await startServiceProcess({ databaseFile: databases.large.file });
  const list = await listOf(small, databases.small);
  await using grpcJs = await startPeer('grpc-js');
  await using rawHttp2 = await startPeer('raw-http2');
  await using fastifyJson = await startPeer('fastify-json', list);
  const peers = { 'grpc-js': grpcJs, 'raw-http2': rawHttp2, 'fastify-json': fastifyJson };

  const rows: Row[] = [];
  const findings: Finding[] = [];
  for (const name of names) {
    const { title, peers: peerNames }: Scenario = scenarios[name];
    const services = [
      { server: toServer('service, 10 tools', small), database: databases.small },
      {
        server: toServer(`service, ${effort.users * 10} tools`, large),
        database: databases.large,
      },
    ];
    const measured = [
      ...peerNames.map((peer) => ({
        server: { title: peerTitles[peer], samples: [], ...peers[peer] } as Server,
        database: databases.small,
      })),
      ...services,
    ];
    for (const { server, database } of measured) {
      await load.ask(loadJob(name, server.origin, database, effort.warmUpMs));
    }
    for (let round = 0; round < effort.rounds; round++) {
      for (const { server, database } of round % 2 === 0 ? measured : measured.toReversed()) {
        await measure(server, load, loadJob(name, server.origin, database, effort.loadMs));
      }
    }
    const servers = measured.map(({ server }) => server);
    rows.push(...toRows(title, servers, peerNames.length));
    const [few, many] = services.map(({ server }) => server);
    if (few && many) {
      const growth = ratio(many, few, 'cpuMsPerCall');
      findings.push(atMost(`${title}: CPU, ${effort.users * 10} tools ÷ 10 tools`, growth, 1.2, ' ×'));
    }
  }
  return { table: formatTable(HEADINGS, rows, 2), findings };
}

const HEADINGS = [
  'call',
  'server',
  'calls/s',
  'p50 ms',
  'p99 ms',
  'CPU ms/call',
  'busy',
  'calls/s ÷ peer',
  'CPU ÷ peer',
  'CPU ÷ http2',
];

async function measure(server: Server, load: Load, job: LoadJob): Promise<void> {
  const before = await server.cpuMs();
  const { calls, elapsedMs, p50Ms, p99Ms } = await load.ask(job);
  const cpuMsPerCall = ((await server.cpuMs()) - before) / calls;
  server.samples.push({ callsPerSecond: (calls / elapsedMs) * 1000, p50Ms, p99Ms, cpuMsPerCall });
}

/** The median of the rounds' ratios: what disturbs a round disturbs both of its parts. */
function ratio(of: Server, to: Server, key: keyof Sample): number {
  return median(of.samples.map((sample, round) => sample[key] / (to.samples[round]?.[key] ?? Number.NaN)));
}

function middle({ samples }: Server, key: keyof Sample): number {
  return median(samples.map((sample) => sample[key]));
}

function toRows(title: string, servers: readonly Server[], peerCount: number): Row[] {
  const [peer, second] = servers.slice(0, peerCount);
  return servers.map((server, index) => [
    index === 0 ? title : '',
    server.title,
    Math.round(middle(server, 'callsPerSecond')).toString(),
    show(middle(server, 'p50Ms')),
    show(middle(server, 'p99Ms')),
    middle(server, 'cpuMsPerCall').toFixed(3),
    `${Math.round((middle(server, 'cpuMsPerCall') * middle(server, 'callsPerSecond')) / 10)}%`,
    peer && index >= peerCount ? ratio(server, peer, 'callsPerSecond').toFixed(2) : '',
    peer && index >= peerCount ? ratio(server, peer, 'cpuMsPerCall').toFixed(2) : '',
    second && index >= peerCount ? ratio(server, second, 'cpuMsPerCall').toFixed(2) : '',
  ]);
}

function toServer(title: string, service: ServiceProcess): Server {
  return { title, origin: service.origin, cpuMs: service.cpuMs, samples: [] };
}

async function startPeer(name: PeerName, ...args: string[]) {
  const log = openSync(join(makeScratchFolder(), 'peer.log'), 'a');
  const child = await startChild<'usage', PeerUsage>(new URL(`./peers/${name}.ts`, import.meta.url), {
    arguments: args,
    log,
  });
  closeSync(log);
  return {
    origin: `http://127.0.0.1:${(child.ready as PeerReady).port}`,
    cpuMs: async () => (hasProc ? cpuMsOf(child.pid) : (await child.ask('usage')).cpuMs),
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}

/** The answer to one list, for the peer that shall answer the same; checked to be what the scenario says it is. */
async function listOf(service: ServiceProcess, { owners }: SeededDatabase): Promise<string> {
  const [owner] = owners;
  if (!owner) throw new Error('the database has no users');
  const { path, headers } = requestsOf.restList(owner, JWT_KEY);
  const text = await (await fetch(`${service.origin}${path}`, { headers })).text();
  const tools: unknown = JSON.parse(text);
  if (!Array.isArray(tools) || tools.length !== 12) throw new Error(`expected 12 tools, got ${text}`);
  return text;
}

import { serveParent } from './child.ts';
import { connectGrpc } from './load-grpc.ts';
import type { LoadJob, LoadResult } from './load-job.ts';
import { connectRest } from './load-rest.ts';
import { percentile } from './statistics.ts';

// The program that makes the load, in a process of its own so that it takes no time from what it measures.

/** Makes calls until the time or the count is reached, and waits for the last answer. */
async function runJob(job: LoadJob): Promise<LoadResult> {
  const connections = await (job.protocol === 'grpc' ? connectGrpc : connectRest)(job);
  const latencies: number[] = [];
  let started = 0;
  const start = performance.now();
  const deadline = start + job.durationMs;

  const work = async (connection: number) => {
    for (;;) {
      const sent = performance.now();
      const request = job.requests[started % job.requests.length];
      if (!request || sent >= deadline || started >= job.maxCalls) return;
      started++;
      await connections.call(request, connection);
      latencies.push(performance.now() - sent);
    }
  };
  let elapsedMs = 0;
  try {
    const workers = job.connections * job.callsPerConnection;
    await Promise.all(Array.from({ length: workers }, (_, worker) => work(worker % job.connections)));
    elapsedMs = performance.now() - start;
  } finally {
    await connections.close();
  }
  return {
    calls: latencies.length,
    elapsedMs,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
  };
}

serveParent(null, runJob);

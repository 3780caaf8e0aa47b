import { serveParent } from '../child.ts';
import type { HttpRequest } from '../load-job.ts';
import { percentile } from '../statistics.ts';
import { type CallClient, type Outcome, openHttp1, openHttp2 } from './overload-clients.ts';

// The program that offers a service more than it can do, in a process of its own.

export interface OverloadJob {
  readonly protocol: 'http1' | 'http2';
  readonly port: number;
  /** One for each connection, in turn. */
  readonly requests: readonly HttpRequest[];
  readonly connections: number;
  readonly maxInFlight: number;
  /** Calls a second, whatever comes of them; undefined: the next when one has ended. */
  readonly rate?: number;
  readonly durationMs: number;
  readonly deadlineMs: number;
  /** Words that an answer has when all is well; one without them counts as a refusal. */
  readonly mark?: string;
}

export interface OverloadResult {
  /** Calls that were due, and of these those that no connection had room for, which were not sent. */
  readonly offered: number;
  readonly keptBack: number;
  readonly outcomes: Readonly<Record<Outcome, number>>;
  readonly elapsedMs: number;
  readonly answeredMs: { readonly p50: number; readonly p99: number };
  readonly refusedMs: { readonly p50: number; readonly p99: number };
  /** Answers in time, by the half second in which they came. */
  readonly answeredByHalfSecond: readonly number[];
}

/** How often calls that are due are sent. */
const TICK_MS = 2;

async function offer(job: OverloadJob): Promise<OverloadResult> {
  const outcomes: Record<Outcome, number> = { answered: 0, refused: 0, failed: 0, late: 0 };
  const answered: number[] = [];
  const refused: number[] = [];
  const answeredByHalfSecond: number[] = [];
  const start = performance.now();
  const end = start + job.durationMs;
  let offered = 0;
  let keptBack = 0;

  const open = job.protocol === 'http1' ? openHttp1 : openHttp2;
  const clients: CallClient[] = [];
  for (let index = 0; index < job.connections; index++) {
    const request = job.requests[index % job.requests.length];
    if (!request) throw new Error('there is nothing to ask');
    clients.push(
      open({
        port: job.port,
        request,
        maxInFlight: job.maxInFlight,
        deadlineMs: job.deadlineMs,
        mark: job.mark,
        onOutcome(outcome, durationMs) {
          const now = performance.now();
          if (now > end) return;
          outcomes[outcome]++;
          if (outcome === 'refused') refused.push(durationMs);
          if (outcome === 'answered') {
            answered.push(durationMs);
            const bucket = Math.floor((now - start) / 500);
            answeredByHalfSecond[bucket] = (answeredByHalfSecond[bucket] ?? 0) + 1;
          }
          if (job.rate === undefined && clients[index]?.send()) offered++;
        },
      }),
    );
  }
  let turn = 0;
  const sendOne = () => {
    for (let tries = 0; tries < clients.length; tries++) {
      if (clients[turn++ % clients.length]?.send()) return true;
    }
    return false;
  };
  const timer = setInterval(
    () => {
      const now = performance.now();
      if (now > end) return;
      if (job.rate === undefined) {
        while (sendOne()) offered++;
        return;
      }
      const due = Math.floor(((now - start) / 1000) * job.rate);
      while (offered < due) {
        offered++;
        if (sendOne()) continue;
        // What was due meanwhile finds no room either.
        keptBack += due - offered + 1;
        offered = due;
      }
    },
    job.rate === undefined ? 50 : TICK_MS,
  );
  await new Promise((resolve) => setTimeout(resolve, job.durationMs));
  const elapsedMs = performance.now() - start;
  clearInterval(timer);
  for (const client of clients) client.close();
  const spread = (values: number[]) => ({ p50: percentile(values, 0.5), p99: percentile(values, 0.99) });
  return {
    offered,
    keptBack,
    outcomes,
    elapsedMs,
    answeredMs: spread(answered),
    refusedMs: spread(refused),
    answeredByHalfSecond,
  };
}

serveParent(null, offer);

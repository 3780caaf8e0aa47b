import {
  AggregatorRegistry,
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from 'prom-client';

/** What the service counts. Labels come from closed lists, so that strangers cannot make series. */
export interface Metrics {
  /** One HTTP request of REST: the route's pattern, never a path. */
  request(labels: { method: string; route: string; status: number }, seconds: number): void;
  /** One RPC, whatever its protocol: the status code's name in Connect's spelling, or `ok`. */
  rpc(labels: { method: string; code: string }, seconds: number): void;
  /** One tool call: how the tool runs, and `success` or the error's code. */
  execution(labels: { kind: string; outcome: string }, seconds: number): void;
  /** One request to a tool's host: `answered`, `server_error` (5xx), or why it came to nothing. */
  attempt(outcome: string): void;
  /** One request that was refused because the service is overloaded. */
  refused(): void;
  /** Watches what can be looked up at any time: how many calls run and wait, how many circuits are open. */
  watch(read: () => { running: number; waiting: number; openCircuits: number }): void;
  /**
   * Watches the events that wait to be published: how many, for how long the oldest has, and how many of them wait only
   * because no queue is bound for them. Read at each rendering.
   */
  outbox(read: () => Promise<{ backlog: number; oldestSeconds: number; unroutable: number }>): void;
  /** One event that a broker has confirmed: the time since it happened. */
  published(seconds: number): void;
  /**
   * All of it in Prometheus' text format: of all processes of the service, where there are several.
   *
   * @throws Error when it cannot be known what the others have. The numbers of one would pass for those of all.
   */
  render(): Promise<string>;
  readonly contentType: string;
}

/** What one process has counted. */
export type Reading = MetricObjectWithValues<MetricValue<string>>[];

/** The processes of a service that answer for one another. */
export interface MetricsExchange {
  /** Takes what this process answers when another collects. */
  serve(read: () => Promise<Reading>): void;
  /** One reading of each process that answered within a second, this one's among them. @throws Error without any. */
  collect(): Promise<readonly Reading[]>;
}

/** How long what is watched may take to be read: one that takes longer is left out. */
const READ_LIMIT_MS = 500;

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** @param exchange with the other processes of this service; undefined where there are none. */
export function createMetrics(exchange?: MetricsExchange): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const requests = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'REST requests by method, route and status',
    labelNames: ['method', 'route', 'status'],
    buckets: SECONDS,
    registers,
  });
  const rpcs = new Histogram({
    name: 'rpc_duration_seconds',
    help: 'RPCs over gRPC, gRPC-Web and Connect by method and code',
    labelNames: ['method', 'code'],
    buckets: SECONDS,
    registers,
  });
  const executions = new Histogram({
    name: 'tool_execution_duration_seconds',
    help: 'Tool calls by kind of execution',
    labelNames: ['kind'],
    buckets: SECONDS,
    registers,
  });
  const outcomes = new Counter({
    name: 'tool_executions_total',
    help: 'Tool calls by kind of execution and outcome: success or an error code',
    labelNames: ['kind', 'outcome'],
    registers,
  });
  const attempts = new Counter({
    name: 'tool_upstream_requests_total',
    help: "Requests to tools' hosts, retries included, by outcome",
    labelNames: ['outcome'],
    registers,
  });
  const refusals = new Counter({
    name: 'requests_refused_total',
    help: 'Requests that were refused because the service was overloaded',
    registers,
  });
  const publications = new Histogram({
    name: 'outbox_publish_duration_seconds',
    help: 'Events that the broker confirmed, by the time from the change to the confirmation',
    buckets: SECONDS,
    registers,
  });
  exchange?.serve(async () => finite(await registry.getMetricsAsJSON()));
  return {
    request: (labels, seconds) => requests.observe(labels, seconds),
    rpc: (labels, seconds) => rpcs.observe(labels, seconds),
    execution({ kind, outcome }, seconds) {
      executions.observe({ kind }, seconds);
      outcomes.inc({ kind, outcome });
    },
    attempt: (outcome) => attempts.inc({ outcome }),
    refused: () => refusals.inc(),
    watch(read) {
      const gauge = (name: string, help: string, value: () => number) =>
        new Gauge({
          name,
          help,
          registers,
          collect() {
            this.set(value());
          },
        });
      gauge('tool_calls_running', 'Tool calls that run', () => read().running);
      gauge('tool_calls_waiting', 'Tool calls that wait for their turn', () => read().waiting);
      gauge('tool_circuits_open', 'Hosts that are left alone, by caller', () => read().openCircuits);
    },
    outbox(read) {
      const readOnce = createSharedRead(read);
      const gauge = (
        name: string,
        help: string,
        value: (state: Awaited<ReturnType<typeof read>>) => number,
      ) =>
        new Gauge({
          name,
          help,
          // All processes see the same rows.
          aggregator: 'max',
          registers,
          async collect() {
            const state = await readOnce();
            if (state) this.set(value(state));
            else this.remove();
          },
        });
      gauge('outbox_backlog', 'Events that wait to be published', ({ backlog }) => backlog);
      gauge(
        'outbox_unroutable',
        'Events of the backlog for which no queue is bound',
        ({ unroutable }) => unroutable,
      );
      gauge(
        'outbox_oldest_age_seconds',
        'For how long the oldest event that waits has waited; 0 when none does',
        ({ oldestSeconds }) => oldestSeconds,
      );
    },
    published: (seconds) => publications.observe(seconds),
    async render() {
      if (!exchange) return registry.metrics();
      return AggregatorRegistry.aggregate([...(await exchange.collect())]).metrics();
    },
    contentType: registry.contentType,
  };
}

/** One read for all who ask at the same time; undefined when it fails or takes too long. */
function createSharedRead<T>(read: () => Promise<T>): () => Promise<T | undefined> {
  let reading: Promise<T | undefined> | undefined;
  return () => {
    reading ??= settle(read).finally(() => {
      reading = undefined;
    });
    return reading;
  };
}

async function settle<T>(read: () => Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, READ_LIMIT_MS, undefined);
  });
  try {
    return await Promise.race([read(), late]);
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/** A reading without the values that are no number, which JSON does not carry. */
function finite(reading: Reading): Reading {
  return reading.map((metric) => ({
    ...metric,
    values: metric.values.filter(({ value }) => Number.isFinite(value)),
  }));
}

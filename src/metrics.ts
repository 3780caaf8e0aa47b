import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

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
  /** Watches what can be looked up at any time: how many calls run and wait, how many circuits are open. */
  watch(read: () => { running: number; waiting: number; openCircuits: number }): void;
  /** All of it in Prometheus' text format. */
  render(): Promise<string>;
  readonly contentType: string;
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export function createMetrics(): Metrics {
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
  return {
    request: (labels, seconds) => requests.observe(labels, seconds),
    rpc: (labels, seconds) => rpcs.observe(labels, seconds),
    execution({ kind, outcome }, seconds) {
      executions.observe({ kind }, seconds);
      outcomes.inc({ kind, outcome });
    },
    attempt: (outcome) => attempts.inc({ outcome }),
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
    render: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

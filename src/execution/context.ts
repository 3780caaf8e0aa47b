import type { Database } from '../db/database.ts';
import type { Credentials } from '../egress/credentials/credentials.ts';
import type { EgressClient } from '../egress/egress-client.ts';
import type { Encryption } from '../encryption.ts';
import type { History } from '../history/create-history.ts';
import type { LruCache } from '../lru-cache.ts';
import type { Metrics } from '../metrics.ts';
import type { SharedBudget } from '../shared-budget.ts';
import type { Tracer } from '../tracing/tracer.ts';
import type { InternalFunction } from './call.ts';
import type { Idempotency } from './idempotency/idempotency.ts';
import type { PreparedTool } from './prepare-tool.ts';
import type { Bulkheads } from './resilience/bulkheads.ts';
import type { CircuitBreaker } from './resilience/circuit-breaker.ts';

/** What running calls needs from the rest of the service. */
export interface ExecutionContext {
  readonly database: Database;
  readonly encryption: Encryption;
  readonly egress: EgressClient;
  readonly credentials: Credentials;
  readonly bulkheads: Bulkheads;
  /** Calls that have begun and not ended, whether they run, wait, pause or fetch a token. */
  readonly callsUnderWay: Pick<SharedBudget, 'open'>;
  /** Bytes of answers that come in and of outputs that have not left yet. */
  readonly memory: Pick<SharedBudget, 'open'>;
  readonly circuitBreaker: CircuitBreaker;
  readonly idempotency: Idempotency;
  readonly history: Pick<History, 'record'>;
  readonly tracer: Tracer;
  readonly internalFunctions: ReadonlyMap<string, InternalFunction>;
  /** What of a tool is worked out once for many calls, by its id and revision. */
  readonly preparedTools: LruCache<PreparedTool>;
  readonly metrics: Pick<Metrics, 'execution' | 'attempt'>;
  /** The time in milliseconds since 1970. */
  readonly now: () => number;
  /** Where a fault of ours is told, with its cause. */
  readonly logFault: (error: unknown, details: { requestId: string; toolId: string }) => void;
  readonly limits: {
    readonly callsPerRequest: number;
    /** For a whole call, in milliseconds. */
    readonly timeoutMs: number;
    readonly responseBytes: number;
    /** For the outputs of all calls of a request together. */
    readonly outputBytes: number;
  };
}

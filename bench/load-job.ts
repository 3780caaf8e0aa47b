/** A request as it goes out; a gRPC one has its message framed already. */
export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | null;
}

/** What to send, to whom, and for how long. */
export interface LoadJob {
  readonly protocol: 'grpc' | 'rest';
  readonly origin: string;
  /** Sent in turn, over and over. */
  readonly requests: readonly HttpRequest[];
  /** The HTTP status that each answer must have; the one of gRPC must be 0. */
  readonly status: number;
  readonly connections: number;
  /** Calls in flight on each connection; REST has one. */
  readonly callsPerConnection: number;
  readonly durationMs: number;
  readonly maxCalls: number;
}

/** What came of a job; times in milliseconds. */
export interface LoadResult {
  readonly calls: number;
  readonly elapsedMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Open connections to a server. */
export interface Connections {
  /** Makes one call on one of them; rejects when the answer is not what it should be. */
  call(request: HttpRequest, connection: number): Promise<void>;
  close(): Promise<void>;
}

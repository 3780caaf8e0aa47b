import { Agent } from 'undici';
import type { Cancellation } from '../cancellation.ts';
import { createLruCache } from '../lru-cache.ts';
import { type Budget, createSharedBudget } from '../shared-budget.ts';
import { checkUrl, type EgressAllow } from './address-policy.ts';
import { checkHeader, checkMethod } from './check-request.ts';
import { EgressError } from './egress-error.ts';
import { type EgressResponse, runExchange } from './exchange.ts';
import { createSystemResolve, type Resolve } from './lookup.ts';
import { type Connect, createPinnedConnect } from './pinned-connect.ts';
import { ACCEPTED_ENCODINGS } from './response-body.ts';

export { EgressError } from './egress-error.ts';
export type { EgressResponse } from './exchange.ts';

const MAX_HEADER_BYTES = 16 * 1024;
const KEEP_ALIVE_MS = 10_000;

/** Whose verdict is remembered. */
const MAX_ORIGINS = 1000;

export interface EgressRequest {
  url: URL | string;
  method: string;
  headers: Record<string, string>;
  body?: string | Buffer | undefined;
  /** Ends the request at once: as `timeout` when its reason is a TimeoutError, else as `canceled`. There is no other deadline. */
  signal: AbortSignal | Cancellation;
  /** Of the decompressed body. */
  maxResponseBytes: number;
  /** What the response takes its memory from while it comes; the client's own when left out. */
  memory?: Budget;
}

export interface EgressClient {
  /** Sends a request to a public (or excepted) address. Follows no redirect, retries nothing. Rejects with EgressError. */
  request(request: EgressRequest): Promise<EgressResponse>;
  /** Cancels what is under way. May be called again. */
  close(): Promise<void>;
}

export interface EgressClientOptions {
  allow: EgressAllow;
  /** What responses take their memory from while they come; as much as they like when left out. */
  memory?: Budget;
  /** All addresses of a name; those that the system's name servers give when left out. */
  resolve?: Resolve;
  /** Requests beyond it wait for a free connection. */
  connectionsPerOrigin?: number;
  connectTimeoutMs?: number;
  /** Sees every address just before it is dialled. */
  onDial?: (address: string, port: number) => void;
  /** Makes the connection to a checked address, given as `hostname`; undici's own when left out. */
  connect?: Connect;
}

/** The one way out of the service: address policy, pinned connections, limits. Proxy variables are not read. */
export function createEgressClient(options: EgressClientOptions): EgressClient {
  const { allow, connect, connectTimeoutMs = 5000, connectionsPerOrigin = 256 } = options;
  const ownMemory = options.memory ?? createSharedBudget({ total: Infinity, perUser: Infinity });
  const system = createSystemResolve(allow.length > 0);
  const agent = new Agent({
    connections: connectionsPerOrigin,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
    // The request's signal is the deadline.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: createPinnedConnect({
      allow,
      resolve: options.resolve ?? system.resolve,
      timeoutMs: connectTimeoutMs,
      onDial: options.onDial ?? (() => {}),
      ...(connect === undefined ? {} : { connect }),
    }),
  });
  const closing = new AbortController();
  const refusalOf = rememberRefusals(allow);

  return {
    request({ url, method, headers, body, signal, maxResponseBytes, memory = ownMemory }) {
      const refusal = checkRequest(refusalOf(url), method, headers);
      if (refusal !== undefined) return Promise.reject(new EgressError('forbidden', refusal));
      const { origin, pathname, search } = typeof url === 'string' ? new URL(url) : url;
      return runExchange(
        agent,
        { origin, path: pathname + search, method, headers: withAcceptEncoding(headers), body: body ?? null },
        { signals: [closing.signal, signal], maxResponseBytes, memory },
      );
    },
    async close() {
      closing.abort();
      system.cancel();
      await agent.destroy();
    },
  };
}

/** `checkUrl`, which looks at no more of a URL than its origin and user, with the words for each origin kept. */
function rememberRefusals(allow: EgressAllow): (url: URL | string) => string | undefined {
  const known = createLruCache<{ readonly words: string | undefined }>(MAX_ORIGINS);
  return (url) => {
    if (typeof url === 'string' || url.username !== '' || url.password !== '') return checkUrl(url, allow);
    return known.getOrMake(url.origin, () => ({ words: checkUrl(url, allow) })).words;
  };
}

function checkRequest(
  urlWords: string | undefined,
  method: string,
  headers: Record<string, string>,
): string | undefined {
  if (urlWords !== undefined) return `The URL ${urlWords}`;
  const methodWords = checkMethod(method);
  if (methodWords !== undefined) return `The method ${methodWords}`;
  const headerWords = Object.entries(headers)
    .map(([name, value]) => checkHeader(name, value))
    .find((words) => words !== undefined);
  return headerWords === undefined ? undefined : `A header ${headerWords}`;
}

function withAcceptEncoding(headers: Record<string, string>): Record<string, string> {
  const isChosen = Object.keys(headers).some((name) => name.toLowerCase() === 'accept-encoding');
  return isChosen ? headers : { ...headers, 'accept-encoding': ACCEPTED_ENCODINGS };
}

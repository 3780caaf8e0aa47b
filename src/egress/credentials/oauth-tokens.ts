import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { createLruCache } from '../../lru-cache.ts';
import type { EgressClient } from '../egress-client.ts';
import { abortError } from '../egress-error.ts';
import type { OauthClient } from './credential.ts';
import { requestToken, tokenEndpointError } from './token-request.ts';

const MAX_CLIENTS = 1000;

export interface AccessToken {
  readonly text: string;
  /** Forgets this very token; one that was fetched since stays. */
  readonly renew: () => void;
}

export interface OauthTokens {
  /**
   * The client's token, fetched where none is known that lasts. Those who ask while a fetch is under way wait for it; the
   * fetch stops when the last of them leaves. A failure is told to all who wait, and not kept.
   *
   * @param options.scope who shares tokens: never two owners, or one could use what the other's secret has bought.
   * @param options.signal lets this caller alone leave.
   * @throws CredentialError or EgressError, as `requestToken`; an EgressError `timeout` or `canceled` for the signal.
   */
  get(client: OauthClient, options: { scope: string; signal: AbortSignal }): Promise<AccessToken>;
}

export interface OauthTokensOptions {
  egress: Pick<EgressClient, 'request'>;
  /** Milliseconds since 1970. */
  now: () => number;
  /** For one fetch, whoever waits for it. */
  timeoutMs: number;
}

interface StoredToken {
  readonly text: string;
  readonly expiresAt: number;
}

interface Fetch {
  readonly token: Promise<StoredToken>;
  readonly stop: () => void;
  waiting: number;
}

/** What is known for one client of one owner. */
interface Entry {
  token: StoredToken | undefined;
  fetch: Fetch | undefined;
}

/** Fetches tokens and keeps them, in memory, until shortly before they end. */
export function createOauthTokens({ egress, now, timeoutMs }: OauthTokensOptions): OauthTokens {
  const entries = createLruCache<Entry>(MAX_CLIENTS);

  function startFetch(entry: Entry, client: OauthClient): Fetch {
    const controller = new AbortController();
    const timer = setTimeout(() => {
      controller.abort(new DOMException('The time for fetching a token is up', 'TimeoutError'));
    }, timeoutMs);
    const startedAt = now();

    function end(token: StoredToken | undefined): void {
      clearTimeout(timer);
      // A fetch that was given up has nothing to say any more: another may be under way.
      if (entry.fetch !== fetch) return;
      entry.fetch = undefined;
      entry.token = token;
    }

    async function run(): Promise<StoredToken> {
      const { text, lifetimeMs } = await requestToken(egress, client, controller.signal);
      return { text, expiresAt: startedAt + lifetimeMs };
    }

    const fetch: Fetch = {
      token: run(),
      stop() {
        end(undefined);
        controller.abort();
      },
      waiting: 0,
    };
    fetch.token.then(end, () => end(undefined));
    return fetch;
  }

  return {
    async get(client, { scope, signal }) {
      const entry = entries.getOrMake(keyOf(scope, client), () => ({ token: undefined, fetch: undefined }));
      const known = entry.token;
      if (known !== undefined && now() < known.expiresAt) return give(entry, known);
      if (signal.aborted) throw tokenEndpointError(abortError(signal, false));
      entry.fetch ??= startFetch(entry, client);
      return give(entry, await waitFor(entry.fetch, signal));
    },
  };
}

function give(entry: Entry, token: StoredToken): AccessToken {
  return {
    text: token.text,
    renew() {
      if (entry.token === token) entry.token = undefined;
    },
  };
}

/** Waits along with the others; leaves alone, and stops the fetch as the last. */
function waitFor(fetch: Fetch, signal: AbortSignal): Promise<StoredToken> {
  // Many calls may share one signal; Node would take that for a leak.
  setMaxListeners(0, signal);
  fetch.waiting += 1;
  return new Promise((resolve, reject) => {
    function onAbort(): void {
      reject(tokenEndpointError(abortError(signal, false)));
      fetch.waiting -= 1;
      if (fetch.waiting === 0) fetch.stop();
    }
    signal.addEventListener('abort', onAbort, { once: true });
    fetch.token.finally(() => signal.removeEventListener('abort', onAbort)).then(resolve, reject);
  });
}

/** Covers all that the token depends on. Hashed, so that no secret is a key; a list, so that no two look alike. */
function keyOf(scope: string, client: OauthClient): string {
  const { token_url, client_id, client_secret, audience, client_authentication } = client;
  const parts = [scope, token_url, client_id, client_secret, client.scope, audience, client_authentication];
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64');
}

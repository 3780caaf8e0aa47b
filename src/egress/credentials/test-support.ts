import { type SeenRequest, startStubWebhook } from '../../testing/stub-webhook.ts';
import type { EgressClientOptions, EgressError, EgressRequest } from '../egress-client.ts';
import { startClient } from '../test-support.ts';
import type { OauthClient } from './credential.ts';
import type { CredentialError } from './credential-error.ts';
import { createOauthTokens } from './oauth-tokens.ts';

export const CLIENT_SECRET = 'client-secret-Zq7';

/** A client of a token endpoint. */
export function clientOf(url: string, changes: Partial<OauthClient> = {}): OauthClient {
  return {
    type: 'oauth2_client_credentials',
    token_url: `${url}/token`,
    client_id: 'client-1',
    client_secret: CLIENT_SECRET,
    ...changes,
  };
}

/** A token endpoint that gives out `token-1`, `token-2`, … for an hour each, once `hold` is over. */
export async function startTokenEndpoint(hold: Promise<void> = Promise.resolve()) {
  let given = 0;
  const closed: SeenRequest[] = [];
  const endpoint = await startStubWebhook(async (request, response) => {
    response.on('close', () => {
      if (!response.writableEnded) closed.push(request);
    });
    await hold;
    given += 1;
    const token = { access_token: `token-${given}`, token_type: 'Bearer', expires_in: 3600 };
    response.end(JSON.stringify(token));
  });
  return { ...endpoint, closed, [Symbol.asyncDispose]: () => endpoint[Symbol.asyncDispose]() };
}

/** A real client, as `startClient`, that any request may be given to. */
export function startEgress(options: Partial<EgressClientOptions> = {}) {
  const client = startClient(options);
  return {
    dialled: client.dialled,
    request: ({ url, ...request }: Partial<EgressRequest> & Pick<EgressRequest, 'url'>) =>
      client.request({ ...request, url: String(url) }),
    [Symbol.asyncDispose]: () => client.close(),
  };
}

/** Tokens by a real egress client, at a time that tests set, in milliseconds. */
export function startTokens({ timeoutMs = 10_000 } = {}) {
  const egress = startEgress();
  const clock = { now: 1_000_000_000_000 };
  const tokens = createOauthTokens({ egress, now: () => clock.now, timeoutMs });
  return {
    clock,
    dialled: egress.dialled,
    get: (oauthClient: OauthClient, { scope = 'owner', signal = new AbortController().signal } = {}) =>
      tokens.get(oauthClient, { scope, signal }),
    [Symbol.asyncDispose]: () => egress[Symbol.asyncDispose](),
  };
}

/** A promise, and what fulfils it. */
export function createGate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** The error that a promise must end with. */
export async function errorOf(promise: Promise<unknown>): Promise<CredentialError | EgressError> {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (outcome instanceof Error) return outcome as CredentialError | EgressError;
  throw new Error('expected a rejection');
}

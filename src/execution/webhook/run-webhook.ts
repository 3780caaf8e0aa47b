import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { callerKey } from '../../caller.ts';
import type { Cancellation } from '../../cancellation.ts';
import type { AuthorizedRequest } from '../../egress/credentials/credentials.ts';
import type { EgressResponse } from '../../egress/egress-client.ts';
import type { JsonObject } from '../../json.ts';
import type { Tool } from '../../tools/tool.ts';
import { CallError, type CallScope } from '../call.ts';
import { confirmTool, type ResolvedScope } from '../confirm-tool.ts';
import type { ExecutionContext } from '../context.ts';
import { inTurn } from '../large-work.ts';
import type { PreparedWebhook } from '../prepare-tool.ts';
import { retryDelay } from '../resilience/retry.ts';
import { authorize, findCredential } from './authorize.ts';
import { refusedStatus } from './failed-attempt.ts';
import { readOutput } from './read-output.ts';
import { sendAttempt } from './send-attempt.ts';

/**
 * Calls the tool's URL as its definition says, with its credential. Sends again only what is safe to repeat.
 *
 * @returns the answer as JSON text.
 * @throws CallError whose words hold neither the URL's query, nor a credential, nor an address.
 */
export async function runWebhook(
  context: ExecutionContext,
  tool: Tool,
  webhook: PreparedWebhook,
  values: JsonObject,
  scope: ResolvedScope,
): Promise<string> {
  const request = withIdempotencyKey(webhook.render(values), tool, scope);
  const { authentication } = webhook.definition;
  const credential = authentication && (await findCredential(context, tool, authentication));
  const token = credential && {
    scope: tool.ownerId ?? '',
    messageId: `msg_${randomUUID()}`,
    signal: scope.cancellation.signal,
  };
  let isRenewed = false;
  let attempt = 0;
  let last: CallError | undefined;
  // Not sent again: what became of the attempt before says more than that.
  const orLast = (error: unknown): never => {
    throw last && error instanceof CallError ? last : error;
  };
  for (;;) {
    // Before it is authorized: no token is fetched with the secrets of a tool that is gone.
    if (attempt > 0 || isRenewed) await confirmTool(context, tool, scope).catch(orLast);
    const authorized =
      credential && token
        ? await authorize(context, request, credential, token)
        : { ...request, secrets: [] };
    const outcome = await sendAttempt(context, tool, webhook, authorized, scope).catch(orLast);
    if (outcome.kind === 'answered') {
      const { response } = outcome;
      if (response.status === 401 && authorized.renew && !isRenewed) {
        // The token is not what it was: a new one, once.
        isRenewed = true;
        authorized.renew();
        continue;
      }
      if (response.status >= 200 && response.status <= 299) {
        return takeOutput(response, webhook, authorized, scope);
      }
    }
    const failed =
      outcome.kind === 'failed'
        ? outcome
        : refusedStatus(outcome.response, { isRepeatable: webhook.isRepeatable, now: context.now() });
    const delayMs = retryDelay(failed.failure, {
      attempt,
      repeatable: webhook.isRepeatable,
      remainingMs: scope.endsAt - performance.now(),
      random: Math.random,
    });
    if (delayMs === undefined || !(await pause(delayMs, scope.cancellation.signal))) throw failed.error;
    last = failed.error;
    attempt++;
  }
}

/**
 * The caller's key, for an upstream that heeds it. A system tool's upstream sees all callers as one: there the key is
 * made the caller's own, so that one never gets the answer that was meant for another.
 */
function withIdempotencyKey<R extends { readonly headers: Readonly<Record<string, string>> }>(
  request: R,
  tool: Tool,
  { caller, idempotencyKey }: CallScope,
): R & { headers: Record<string, string> } {
  if (idempotencyKey === '') return { ...request, headers: { ...request.headers } };
  const key =
    tool.ownerId === null
      ? createHash('sha256')
          .update(`${callerKey(caller)} ${idempotencyKey}`)
          .digest('hex')
      : idempotencyKey;
  return { ...request, headers: { ...request.headers, 'idempotency-key': key } };
}

/** Makes the output of an answer, in its turn; until then the answer counts as held in memory. */
async function takeOutput(
  response: EgressResponse,
  { definition, isRepeatable }: PreparedWebhook,
  { secrets }: AuthorizedRequest,
  { budget, cancellation, memory, idempotencyKey }: CallScope,
): Promise<string> {
  const { length } = response.body;
  if (!memory.take(length)) {
    throw new CallError(
      'resource_exhausted',
      `Too many answers are held in memory already.${executed(isRepeatable)}`,
    );
  }
  try {
    return await inTurn(length, cancellation, () => {
      // Other calls may have used up the budget meanwhile. What is stored under a key is whole all the same.
      if (length > budget.bytes && idempotencyKey === '') throw tooMuch(isRepeatable);
      return readOutput(response, { pointer: definition.output, secrets });
    });
  } catch (error) {
    if (cancellation.aborted && !(error instanceof CallError)) throw notRead(cancellation, isRepeatable);
    if (!(error instanceof CallError) || error.code !== 'invalid_response') throw error;
    throw new CallError(error.code, error.message + executed(isRepeatable), { cause: error });
  } finally {
    memory.give(length);
  }
}

function tooMuch(isRepeatable: boolean): CallError {
  const words = `The outputs of all calls together are too large.${executed(isRepeatable)}`;
  return new CallError('response_too_large', words);
}

function notRead({ reason }: Cancellation, isRepeatable: boolean): CallError {
  const isTimeout = reason instanceof DOMException && reason.name === 'TimeoutError';
  const words = `The ${isTimeout ? 'time for the call was up' : 'call was canceled'} before its answer was read.`;
  return new CallError(isTimeout ? 'timeout' : 'canceled', words + executed(isRepeatable));
}

/** The answer was 2xx: who calls again for a better one repeats what was done. */
function executed(isRepeatable: boolean): string {
  return isRepeatable ? '' : ' The call has executed: check before you call again.';
}

/** @returns false when the signal aborted instead. */
async function pause(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(milliseconds, undefined, { signal });
    return true;
  } catch {
    return false;
  }
}

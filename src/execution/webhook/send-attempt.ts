import { callerKey } from '../../caller.ts';
import type { AuthorizedRequest } from '../../egress/credentials/credentials.ts';
import { EgressError, type EgressResponse } from '../../egress/egress-client.ts';
import type { Tool } from '../../tools/tool.ts';
import { startAttemptSpan } from '../../tracing/spans.ts';
import { CallError, type CallScope } from '../call.ts';
import type { ResolvedScope } from '../confirm-tool.ts';
import type { ExecutionContext } from '../context.ts';
import { enterBulkheads } from '../enter-bulkheads.ts';
import type { PreparedWebhook } from '../prepare-tool.ts';
import { brokenAttempt, type FailedAttempt } from './failed-attempt.ts';

type Verdict = 'success' | 'failure' | 'ignored';

/** What became of one request. */
export type AttemptOutcome = { readonly kind: 'answered'; readonly response: EgressResponse } | FailedAttempt;

/**
 * Sends one request when there is room for it and its host is not left alone just now.
 *
 * @throws CallError `resource_exhausted` or `circuit_open`; `timeout` or `canceled` while it waits; `tool_not_found` when the
 * tool is not what it was by then.
 */
export async function sendAttempt(
  context: ExecutionContext,
  tool: Tool,
  webhook: PreparedWebhook,
  request: AuthorizedRequest,
  scope: ResolvedScope,
): Promise<AttemptOutcome> {
  const url = new URL(request.url);
  const { host } = url;
  const leave = await enterBulkheads(context, tool, host, scope);
  try {
    // By caller too, so that nobody can close a host to somebody else.
    const circuit = context.circuitBreaker.admit(`${callerKey(scope.caller)} ${host}`);
    if (!circuit.allowed) throw circuitOpen(circuit.retryAfterMs);
    let verdict: Verdict = 'ignored';
    try {
      const outcome = await exchange(context, webhook, { ...request, url }, scope);
      verdict = verdictOn(outcome, scope);
      return outcome;
    } finally {
      circuit.report(verdict);
    }
  } finally {
    leave();
  }
}

async function exchange(
  context: ExecutionContext,
  { definition, isRepeatable }: PreparedWebhook,
  { url, method, headers, body }: Omit<AuthorizedRequest, 'url'> & { readonly url: URL },
  { cancellation, requestId, budget, memory, trace, usage, idempotencyKey }: CallScope,
): Promise<AttemptOutcome> {
  const span = startAttemptSpan(context.tracer, { method, url, parent: trace, attempt: usage.attempts });
  usage.attempts++;
  try {
    const response = await context.egress.request({
      url,
      method,
      headers: { ...headers, 'x-request-id': requestId, ...span.context },
      body,
      signal: cancellation,
      memory,
      maxResponseBytes: Math.max(
        1,
        Math.min(
          context.limits.responseBytes,
          definition.max_response_bytes ?? Infinity,
          // What is stored under a key does not depend on the calls beside it.
          idempotencyKey === '' ? budget.bytes : Infinity,
        ),
      ),
    });
    span.end({ status: response.status });
    context.metrics.attempt(response.status < 500 ? 'answered' : 'server_error');
    return { kind: 'answered', response };
  } catch (error) {
    if (!(error instanceof EgressError)) {
      span.end({ error: 'internal' });
      throw error;
    }
    span.end({ error: error.reason });
    context.metrics.attempt(error.reason);
    return brokenAttempt(error, isRepeatable);
  }
}

/** A host fails when it cannot be reached, does not answer in the time its tool has, or says that it failed (5xx). */
function verdictOn(outcome: AttemptOutcome, scope: CallScope): Verdict {
  if (outcome.kind === 'answered') return outcome.response.status >= 500 ? 'failure' : 'success';
  switch (outcome.error.code) {
    case 'unreachable':
      return 'failure';
    case 'timeout':
      // Not the host's fault where the caller was in a hurry.
      return scope.isToolsTime() ? 'failure' : 'ignored';
    case 'canceled':
    case 'forbidden_address':
    case 'resource_exhausted':
      return 'ignored';
    default:
      return 'success';
  }
}

function circuitOpen(retryAfterMs: number): CallError {
  const seconds = Math.max(1, Math.ceil(retryAfterMs / 1000));
  return new CallError(
    'circuit_open',
    `The host of this tool failed again and again, and is left alone for ${seconds} s. Call later, or another tool.`,
    { mayHaveRun: false },
  );
}

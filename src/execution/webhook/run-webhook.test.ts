import { describe, expect, it } from 'vitest';
import { createCancellation } from '../../cancellation.ts';
import { createSharedBudget } from '../../shared-budget.ts';
import { ALICE } from '../../testing/tools-context.ts';
import { createTracer } from '../../tracing/tracer.ts';
import type { ResolvedScope } from '../confirm-tool.ts';
import type { ExecutionContext } from '../context.ts';
import { type PreparedWebhook, prepareTool } from '../prepare-tool.ts';
import { createBulkheads } from '../resilience/bulkheads.ts';
import { createCircuitBreaker } from '../resilience/circuit-breaker.ts';
import { runWebhook } from './run-webhook.ts';

/** A call whose answer of 2xx is there and waits for its turn to be read, and what ends the call's time. */
async function startCall(annotations: object) {
  const { cancellation, abort } = createCancellation();
  const memory = createSharedBudget({ total: 1_000_000, perUser: 1_000_000 });
  const body = Buffer.from(JSON.stringify('x'.repeat(10_000)));
  const context = {
    egress: { request: async () => ({ status: 200, headers: {}, body }) },
    bulkheads: createBulkheads({ running: 1, perUser: 1, perHost: 2, queuedPerUser: 0, queued: 0 }),
    circuitBreaker: createCircuitBreaker({ now: () => 0, random: () => 0 }),
    tracer: await createTracer({
      endpoint: undefined,
      serviceName: 'test',
      serviceVersion: '1',
      logFault: () => {},
    }),
    metrics: { attempt: () => {} },
    limits: { responseBytes: 1_000_000 },
    now: () => 0,
  } as unknown as ExecutionContext;
  const scope: ResolvedScope = {
    resolved: { as: 'tool', at: performance.now() },
    caller: ALICE,
    requestId: 'request',
    cancellation,
    endsAt: Number.POSITIVE_INFINITY,
    isToolsTime: () => true,
    idempotencyKey: '',
    budget: { bytes: 1_000_000 },
    memory,
    trace: undefined,
    usage: { attempts: 0 },
  };
  const execution = { type: 'webhook', url: 'https://tools.example/' };
  const definition = JSON.stringify({ parameters: {}, annotations, execution });
  const { execution: webhook } = prepareTool({ definition });
  const tool = { ownerId: ALICE.userId } as Parameters<typeof runWebhook>[1];
  const result = runWebhook(context, tool, webhook as PreparedWebhook, {}, scope);
  // All up to the wait for the turn, which is another one of the event loop.
  for (let tick = 0; tick < 100; tick++) await Promise.resolve();
  return { result, abort, memory };
}

describe('an answer that was not read when the time was up', () => {
  it.each([
    [{}, ' The call has executed: check before you call again.'],
    [{ idempotent: true }, ''],
  ])('says that the call has executed, where that matters: %j', async (annotations, words) => {
    const { result, abort, memory } = await startCall(annotations);
    expect(memory.taken).toBeGreaterThan(10_000);
    abort(new DOMException('late', 'TimeoutError'));
    await expect(result).rejects.toMatchObject({
      code: 'timeout',
      message: `The time for the call was up before its answer was read.${words}`,
      mayHaveRun: true,
    });
    expect(memory.taken).toBe(0);
  });

  it('is read in its turn otherwise', async () => {
    const { result } = await startCall({});
    expect(await result).toBe(JSON.stringify('x'.repeat(10_000)));
  });
});

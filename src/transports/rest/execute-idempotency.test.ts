import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { afterAll, describe, expect, it } from 'vitest';
import { createHttpClient } from '../../testing/http-client.ts';
import { makeToken } from '../../testing/make-token.ts';
import { startTestService } from '../../testing/start-test-service.ts';
import { startStubWebhook } from '../../testing/stub-webhook.ts';
import { createTool, execute, run } from '../../testing/tool-calls.ts';

const service = await startTestService();
afterAll(() => service.close());
const newUser = () => createHttpClient(service.url, makeToken());

/** An endpoint that counts what it did. */
function startCounter() {
  let count = 0;
  return startStubWebhook((_request, response) => response.end(JSON.stringify({ count: ++count })));
}

describe('calls with an idempotency key', () => {
  it('run once: those at the same time wait, later ones get the stored result', async () => {
    await using upstream = await startCounter();
    const send = newUser();
    await createTool(send, 'one', { execution: { url: upstream.url } });
    const call = { name: 'one', arguments: { a: 1, b: 2 }, idempotency_key: 'key-1' };
    const same = { ...call, arguments: { b: 2, a: 1 } };
    const results = await Promise.all([run(send, call), run(send, same), execute(send, [call, call])]);
    const first = ['success', '{"count":1}'];
    expect([results[0], results[1]]).toEqual([first, first]);
    expect(results[2].map(({ output }) => output)).toEqual(['{"count":1}', '{"count":1}']);
    expect(await run(send, call)).toEqual(first);
    expect(upstream.requests.length).toBe(1);
    expect(upstream.requests[0]?.headers['idempotency-key']).toBe('key-1');
  });

  it('with other arguments are refused, with another key or by another user run', async () => {
    await using upstream = await startCounter();
    const [ann, bob] = [newUser(), newUser()];
    for (const send of [ann, bob]) await createTool(send, 'one', { execution: { url: upstream.url } });
    const call = { name: 'one', arguments: { a: 1 }, idempotency_key: 'key-1' };
    expect(await run(ann, call)).toEqual(['success', '{"count":1}']);
    expect((await run(ann, { ...call, arguments: { a: 2 } }))[2]).toBe('idempotency_conflict');
    expect(await run(ann, { ...call, idempotency_key: 'key-2' })).toEqual(['success', '{"count":2}']);
    expect(await run(bob, call)).toEqual(['success', '{"count":3}']);
  });

  it('keep what may have executed, and free the key of what surely did not', async () => {
    await using silent = await startStubWebhook(() => {});
    const send = newUser();
    await createTool(send, 'silent', { execution: { url: silent.url, timeout_ms: 100 } });
    const call = { name: 'silent', idempotency_key: 'key-1' };
    const first = await run(send, call);
    expect(first[2]).toBe('timeout');
    expect(first[1]).toContain('may have executed');
    expect(await run(send, call)).toEqual(first);
    expect(silent.requests.length).toBe(1);

    let isUp = false;
    await using flaky = await startStubWebhook((_request, response) =>
      isUp ? response.end('"done"') : response.writeHead(429).end(),
    );
    await createTool(send, 'flaky', { execution: { url: flaky.url } });
    const again = { name: 'flaky', idempotency_key: 'key-1' };
    expect((await run(send, again))[2]).toBe('upstream_error');
    isUp = true;
    expect(await run(send, again)).toEqual(['success', '"done"']);
  });

  it('of a system tool reach its upstream under a key of their own for each caller', async () => {
    await using upstream = await startCounter();
    const staff = createHttpClient(service.url, makeToken({ is_staff: true }));
    const name = `system_${randomUUID()}`;
    const definition = {
      name,
      description: '',
      parameters: {},
      execution: { type: 'webhook', url: upstream.url },
    };
    await staff('POST', '/ms7/api/v1/tools/', { body: { name, definition, is_system_tool: true } });
    for (const send of [newUser(), newUser()]) await run(send, { name, idempotency_key: 'key-1' });
    const keys = upstream.requests.map(({ headers }) => headers['idempotency-key']);
    expect(new Set(keys).size).toBe(2);
    expect(keys).not.toContain('key-1');
  });

  it.each(['a b', 'ä', 'x'.repeat(256), '\n'])('that are no keys are refused: %j', async (key) => {
    await using upstream = await startCounter();
    const send = newUser();
    await createTool(send, 'one', { execution: { url: upstream.url } });
    expect(await run(send, { name: 'one', idempotency_key: key })).toEqual([
      'error',
      'idempotency_key must be 1 to 255 visible ASCII characters.',
      'invalid_arguments',
    ]);
    expect(upstream.requests).toEqual([]);
  });

  it('wait for a run that another request has begun, for as long as they have time', async () => {
    const held: ServerResponse[] = [];
    await using upstream = await startStubWebhook((_request, response) => held.push(response));
    const send = newUser();
    await createTool(send, 'one', { execution: { url: upstream.url } });
    const call = { name: 'one', idempotency_key: 'key-1' };
    const first = run(send, call);
    while (held.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await run(send, { ...call, timeout_ms: 50 }))[2]).toBe('timeout');
    held[0]?.end('"done"');
    expect(await first).toEqual(['success', '"done"']);
    expect(await run(send, call)).toEqual(['success', '"done"']);
    expect(upstream.requests.length).toBe(1);
  });
});

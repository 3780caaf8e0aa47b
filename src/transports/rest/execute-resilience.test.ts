import type { ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { afterAll, describe, expect, it } from 'vitest';
import { createHttpClient } from '../../testing/http-client.ts';
import { makeToken } from '../../testing/make-token.ts';
import { startTestService } from '../../testing/start-test-service.ts';
import { type SeenRequest, startStubWebhook } from '../../testing/stub-webhook.ts';
import { createTool, execute, run } from '../../testing/tool-calls.ts';

const service = await startTestService();
afterAll(() => service.close());
const newUser = (url = service.url) => createHttpClient(url, makeToken());
const AMBIGUOUS = 'The call may have executed: check before you call again.';

type Answer = (request: SeenRequest, response: ServerResponse) => void;
const fine: Answer = (_request, response) => response.end('"fine"');
const status =
  (code: number, headers = {}): Answer =>
  (_request, response) =>
    response.writeHead(code, headers).end();
const reset: Answer = (_request, response) => response.destroy();

/** An endpoint that answers one way after another, the last for ever. */
function startScript(...answers: Answer[]) {
  let asked = 0;
  return startStubWebhook((request, response) =>
    answers[Math.min(asked++, answers.length - 1)]?.(request, response),
  );
}

describe('a failed request', () => {
  const idempotent = { annotations: { idempotent: true } };
  const get = { execution: { method: 'GET' } };
  it.each([
    [
      '429 with Retry-After, whatever the method',
      [status(429, { 'retry-after': '0' }), fine],
      {},
      2,
      'success',
    ],
    ['429 without', [status(429), fine], {}, 1, 'error'],
    ['503 with Retry-After of a GET', [status(503, { 'retry-after': '0' }), fine], get, 2, 'success'],
    [
      '503 with Retry-After of an idempotent POST',
      [status(503, { 'retry-after': '0' }), fine],
      idempotent,
      2,
      'success',
    ],
    ['503 with Retry-After of a POST', [status(503, { 'retry-after': '0' }), fine], {}, 1, 'error'],
    ['503 without Retry-After of a GET', [status(503), fine], get, 1, 'error'],
    ['502 of a GET', [status(502), fine], get, 2, 'success'],
    ['504 of an idempotent POST', [status(504), fine], idempotent, 2, 'success'],
    ['502 of a POST', [status(502), fine], {}, 1, 'error'],
    ['500 of a GET', [status(500), fine], get, 1, 'error'],
    ['a reset of a GET', [reset, fine], get, 2, 'success'],
    ['a reset of a POST', [reset, fine], {}, 1, 'error'],
    ['502 of a GET, again and again', [status(502)], get, 3, 'error'],
  ] as [string, Answer[], { execution?: object }, number, string][])(
    '%s: %#',
    async (_name, answers, definition, requests, expected) => {
      await using upstream = await startScript(...answers);
      const send = newUser();
      const { execution, ...rest } = definition;
      await createTool(send, 'one', { ...rest, execution: { ...execution, url: upstream.url } });
      expect((await run(send, { name: 'one' }))[0]).toBe(expected);
      expect(upstream.requests.length).toBe(requests);
    },
  );

  it('is not sent again when the pause asked for is longer than the time left', async () => {
    await using upstream = await startScript(status(429, { 'retry-after': '30' }), fine);
    const send = newUser();
    await createTool(send, 'one', { execution: { url: upstream.url } });
    const start = performance.now();
    expect(await run(send, { name: 'one' })).toEqual([
      'error',
      'The upstream answered with HTTP status 429. It asks for a pause of 30 s.',
      'upstream_error',
    ]);
    expect(performance.now() - start).toBeLessThan(2000);
    expect(upstream.requests.length).toBe(1);
  });

  it('says that it may have executed only where that is so', async () => {
    await using broken = await startScript(reset);
    await using silent = await startStubWebhook(() => {});
    const send = newUser();
    const create = (name: string, url: string, definition = {}) =>
      createTool(send, name, { ...definition, execution: { url, timeout_ms: 200 } });
    await create('reset', broken.url);
    await create('repeatable', silent.url, idempotent);
    await create('silent', silent.url);
    const outputs = (
      await execute(
        send,
        ['reset', 'repeatable', 'silent'].map((name) => ({ name })),
      )
    ).map(({ output }) => output);
    expect(outputs).toEqual([
      `The upstream broke off the connection. ${AMBIGUOUS}`,
      'The upstream did not answer in time.',
      `The upstream did not answer in time. ${AMBIGUOUS}`,
    ]);
  });

  it('to connect is tried again: no byte was sent', async () => {
    await using gone = await startStubWebhook();
    const { port } = new URL(gone.url);
    await gone[Symbol.asyncDispose]();
    const send = newUser();
    await createTool(send, 'one', { execution: { url: `http://127.0.0.1:${port}` } });
    const result = run(send, { name: 'one' });
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n"fine"');
    });
    await new Promise<void>((resolve) => server.listen(Number(port), '127.0.0.1', resolve));
    const [code, output] = await result;
    server.close();
    // Either the first attempt or a later one found the server.
    expect([code, output]).toEqual(['success', '"fine"']);
  });
});

describe('the deadline', () => {
  it('ends an answer that drips one byte at a time', async () => {
    await using drip = await startStubWebhook((_request, response) => {
      response.write('"');
      const timer = setInterval(() => response.write('x'), 20);
      response.once('close', () => clearInterval(timer));
    });
    const send = newUser();
    await createTool(send, 'one', { execution: { url: drip.url, timeout_ms: 300 } });
    const start = performance.now();
    expect((await run(send, { name: 'one' }))[2]).toBe('timeout');
    expect(performance.now() - start).toBeLessThan(1500);
  });
});

describe('a host that fails', () => {
  it('is left alone for its caller alone, and tried again after a while', async () => {
    let isBroken = true;
    await using upstream = await startStubWebhook((_request, response) =>
      response.writeHead(isBroken ? 500 : 200).end('"fine"'),
    );
    await using other = await startStubWebhook(fine);
    const [ann, bob] = [newUser(), newUser()];
    for (const send of [ann, bob]) {
      await createTool(send, 'one', { execution: { url: upstream.url } });
      await createTool(send, 'other', { execution: { url: other.url } });
    }
    for (let call = 0; call < 5; call++) expect((await run(ann, { name: 'one' }))[2]).toBe('upstream_error');
    const seen = upstream.requests.length;
    const [, words, code] = await run(ann, { name: 'one' });
    expect(code).toBe('circuit_open');
    expect(words).toContain('left alone');
    expect(upstream.requests.length).toBe(seen);
    expect((await run(ann, { name: 'other' }))[0]).toBe('success');
    expect((await run(bob, { name: 'one' }))[2]).toBe('upstream_error');

    isBroken = false;
    const deadline = performance.now() + 5000;
    let result = await run(ann, { name: 'one' });
    while (result[2] === 'circuit_open' && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      result = await run(ann, { name: 'one' });
    }
    expect(result).toEqual(['success', '"fine"']);
  });
});

describe('bulkheads', () => {
  const startLimited = () =>
    startTestService({
      MAX_RUNNING_CALLS: '20',
      MAX_RUNNING_CALLS_PER_USER: '10',
      // Of which one user has half.
      MAX_RUNNING_CALLS_PER_HOST: '8',
      MAX_QUEUED_CALLS_PER_USER: '8',
    });

  it('keep a slow host from slowing another, for the same user and for others', async () => {
    await using limited = await startLimited();
    let held: ServerResponse[] = [];
    await using slow = await startStubWebhook((_request, response) => held.push(response));
    await using quick = await startStubWebhook(fine);
    const [ann, bob] = [newUser(limited.url), newUser(limited.url)];
    for (const send of [ann, bob]) {
      await createTool(send, 'slow', { execution: { url: slow.url } });
      await createTool(send, 'quick', { execution: { url: quick.url } });
    }
    const calls = Array.from({ length: 11 }, () => ({ name: 'slow' }));
    const waiting = execute(ann, [...calls, { name: 'quick' }]);
    while (held.length < 4) await new Promise((resolve) => setTimeout(resolve, 5));
    for (const send of [ann, bob]) expect((await run(send, { name: 'quick' }))[0]).toBe('success');
    expect(slow.requests.length).toBe(4);

    // Eight may wait; here seven do already.
    const late = { name: 'slow', timeout_ms: 50 };
    const refused = await execute(ann, [late, late]);
    expect(refused.map(({ error_code: code }) => code).sort()).toEqual(['resource_exhausted', 'timeout']);

    const release = setInterval(() => {
      for (const response of held) response.end('"slow"');
      held = [];
    }, 5);
    const results = await waiting;
    clearInterval(release);
    expect(results.map(({ status: done }) => done)).toEqual(Array.from({ length: 12 }, () => 'success'));
    const metrics = await createHttpClient(limited.url)('GET', '/metrics');
    expect(metrics.text).toContain('tool_calls_running 0');
    expect(metrics.text).toContain('tool_calls_waiting 0');
  });

  it('let the slowest upstream decide the time of a batch, not the sum', async () => {
    await using upstream = await startStubWebhook(({ url }, response) => {
      if (url === '/slow') setTimeout(() => response.end('1'), 1000);
      else response.end('1');
    });
    const send = newUser();
    await createTool(send, 'quick', { execution: { url: upstream.url } });
    await createTool(send, 'slow', { execution: { url: `${upstream.url}/slow` } });
    // Four of a second each, which one after another would take four.
    const calls = Array.from({ length: 500 }, (_, index) => ({ name: index % 125 === 0 ? 'slow' : 'quick' }));
    const start = performance.now();
    const results = await execute(send, calls);
    const elapsed = performance.now() - start;
    expect(results.every(({ status: done }) => done === 'success')).toBe(true);
    expect(elapsed).toBeGreaterThan(900);
    expect(elapsed).toBeLessThan(3000);
  });
});

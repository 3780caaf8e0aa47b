import { once } from 'node:events';
import { connect } from 'node:http2';
import { describe, expect, it, vi } from 'vitest';
import { createHttpClient } from '../../testing/http-client.ts';
import { makeToken } from '../../testing/make-token.ts';
import { startTestService } from '../../testing/start-test-service.ts';
import { startStubWebhook } from '../../testing/stub-webhook.ts';
import { createTool, EXECUTE_PATH, execute, run } from '../../testing/tool-calls.ts';

/** One user may hold 400,000 bytes, all users together a million. */
const LIMITS = { MAX_OUTPUT_BYTES: '400000', MAX_BUFFERED_BYTES: '1000000' };

const patience = { timeout: 5000, interval: 10 };

/** Somebody of their own, with a tool of this URL. */
async function startUser(service: { url: string }, url: string, execution: object = {}) {
  const token = makeToken();
  const send = createHttpClient(service.url, token);
  await createTool(send, 'tool', { execution: { url, ...execution } });
  return { token, send, run: () => run(send, { name: 'tool' }) };
}

/** Asks for calls by HTTP/2, whose answer nobody reads beyond its headers before somebody asks for its text. */
async function ask(service: { url: string }, token: string, calls: object[], accept = 'text/event-stream') {
  const session = connect(service.url).on('error', () => {});
  const stream = session.request({
    ':method': 'POST',
    ':path': EXECUTE_PATH,
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    accept,
  });
  stream.on('error', () => {}).end(JSON.stringify({ tool_calls: calls }));
  await once(stream, 'response');
  return Object.assign(stream, { [Symbol.dispose]: () => session.destroy() });
}

describe('answers that nobody reads', () => {
  it.each(['application/json', 'text/event-stream'])(
    'hold a bounded amount of memory: %s',
    async (accept) => {
      await using service = await startTestService(LIMITS);
      await using upstream = await startStubWebhook(({ url }, response) =>
        response.end(url === '/quotes' ? '"'.repeat(40_000) : 'x'.repeat(Number(url.slice(1)))),
      );
      const user = await startUser(service, `${upstream.url}/330000`);
      await createTool(user.send, 'quotes', { execution: { url: `${upstream.url}/quotes` } });
      const other = await startUser(service, `${upstream.url}/100000`);

      using unread = await ask(service, user.token, [{ name: 'tool' }], accept);
      // The answer fits into what is left, and what is made of it does not.
      await vi.waitFor(async () => {
        expect(await run(user.send, { name: 'quotes' })).toEqual([
          'error',
          expect.stringMatching(/^The tool has run, but its output is lost/),
          'resource_exhausted',
        ]);
      }, patience);
      expect(await user.run()).toEqual([
        'error',
        expect.stringMatching(/^There is no memory left just now .*may have executed/),
        'resource_exhausted',
      ]);
      expect((await other.run())[0]).toBe('success');

      unread.close();
      await vi.waitFor(async () => expect((await user.run())[0]).toBe('success'), patience);
    },
  );

  it('are no longer counted once they are read', async () => {
    await using service = await startTestService(LIMITS);
    await using upstream = await startStubWebhook((_request, response) => response.end('x'.repeat(100_000)));
    const user = await startUser(service, upstream.url);
    const calls = Array.from({ length: 3 }, () => ({ name: 'tool' }));
    for (let time = 0; time < 3; time++) {
      using events = await ask(service, user.token, calls);
      let text = '';
      for await (const chunk of events.setEncoding('utf8')) text += chunk;
      expect(text.match(/"status":"success"/g)).toHaveLength(3);
      const results = await execute(user.send, calls);
      expect(results.map(({ status }) => status)).toEqual(['success', 'success', 'success']);
    }
  });
});

it('bounds the memory of answers that never end, so that others have theirs', async () => {
  await using service = await startTestService(LIMITS);
  await using upstream = await startStubWebhook(({ url }, response) => {
    if (url === '/hold') response.write('x'.repeat(90_000));
    else response.end('x'.repeat(90_000));
  });
  const user = await startUser(service, `${upstream.url}/hold`);
  await createTool(user.send, 'quick', { execution: { url: upstream.url } });
  const other = await startUser(service, upstream.url);

  using held = await ask(
    service,
    user.token,
    Array.from({ length: 20 }, () => ({ name: 'tool' })),
  );
  let text = '';
  held.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  await vi.waitFor(() => {
    expect(text.match(/"error_code":"resource_exhausted"/g)?.length).toBeGreaterThanOrEqual(15);
  }, patience);
  expect((await other.run())[0]).toBe('success');

  held.close();
  await vi.waitFor(
    async () => expect((await run(user.send, { name: 'quick' }))[0]).toBe('success'),
    patience,
  );
});

it('bounds the calls of a user that pause between tries', async () => {
  await using service = await startTestService({
    MAX_RUNNING_CALLS_PER_USER: '2',
    MAX_QUEUED_CALLS_PER_USER: '2',
  });
  await using upstream = await startStubWebhook(({ url }, response) => {
    if (url === '/later') response.writeHead(429, { 'retry-after': '200' }).end();
    else response.end('1');
  });
  const user = await startUser(service, `${upstream.url}/later`, { timeout_ms: 300_000 });
  const other = await startUser(service, upstream.url);
  const gone = new AbortController();
  const body = { tool_calls: [{ name: 'tool' }] };
  const pausing: Promise<unknown>[] = [];
  for (let count = 1; count <= 4; count++) {
    pausing.push(user.send('POST', EXECUTE_PATH, { body, signal: gone.signal }).catch(() => {}));
    await vi.waitFor(() => expect(upstream.requests.length).toBe(count), patience);
  }
  expect(await user.run()).toEqual(['error', expect.stringContaining('under way'), 'resource_exhausted']);
  expect(upstream.requests.length).toBe(4);
  expect((await other.run())[0]).toBe('success');

  gone.abort();
  await Promise.all(pausing);
  await createTool(user.send, 'quick', { execution: { url: upstream.url } });
  await vi.waitFor(
    async () => expect((await run(user.send, { name: 'quick' }))[0]).toBe('success'),
    patience,
  );
});

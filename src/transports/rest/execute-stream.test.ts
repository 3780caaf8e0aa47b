import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { afterAll, describe, expect, it } from 'vitest';
import { createHttpClient } from '../../testing/http-client.ts';
import { makeToken } from '../../testing/make-token.ts';
import { startTestService } from '../../testing/start-test-service.ts';
import { startStubWebhook } from '../../testing/stub-webhook.ts';
import { createTool, EXECUTE_PATH } from '../../testing/tool-calls.ts';

const service = await startTestService({ MAX_CALLS_PER_REQUEST: '5' });
afterAll(() => service.close());

function open(token: string, calls: object[], signal?: AbortSignal) {
  return fetch(`${service.url}${EXECUTE_PATH}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: 'text/event-stream',
    },
    body: JSON.stringify({ tool_calls: calls }),
    ...(signal ? { signal } : {}),
  });
}

describe('results as server-sent events', () => {
  it('come as they are done, with the place of their call', async () => {
    const token = makeToken();
    const send = createHttpClient(service.url, token);
    const held: ServerResponse[] = [];
    await using upstream = await startStubWebhook(({ url }, response) =>
      url === '/slow' ? held.push(response) : response.end('"quick"'),
    );
    await createTool(send, 'slow', { execution: { url: `${upstream.url}/slow` } });
    await createTool(send, 'quick', { execution: { url: upstream.url } });
    const answer = await open(token, [
      { id: 'a', name: 'slow' },
      { id: 'b', name: 'quick' },
      { id: 'c', name: 'x' },
    ]);
    expect(answer.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const decoder = new TextDecoder();
    let text = '';
    let isReleased = false;
    for await (const chunk of answer.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      if (!isReleased && text.includes('"b"') && text.includes('"c"')) {
        isReleased = true;
        expect(text).not.toContain('"a"');
        held[0]?.end('"slow"');
      }
    }
    const events = text
      .trimEnd()
      .split('\n\n')
      .map((event) => {
        const [, type, data] = /^event: (\w+)\ndata: (.*)$/.exec(event) ?? [];
        return [type, JSON.parse(data ?? '') as Record<string, unknown>] as const;
      });
    expect(
      events.map(([type, { index, status, output }]) => [type, index, status, output]).slice(0, 3),
    ).toEqual(
      expect.arrayContaining([
        ['result', 0, 'success', '"slow"'],
        ['result', 1, 'success', '"quick"'],
        ['result', 2, 'error', expect.stringContaining('There is no tool named')],
      ]),
    );
    expect(events[2]?.[1]).toMatchObject({ tool_call_id: 'a', index: 0 });
    expect(events[3]).toEqual(['done', {}]);
  });

  it('end their calls when the client leaves', async () => {
    const token = makeToken();
    let closed: Promise<unknown> | undefined;
    const { promise: arrived, resolve } = withResolvers();
    await using upstream = await startStubWebhook((_request, response) => {
      closed = once(response, 'close');
      resolve();
    });
    await createTool(createHttpClient(service.url, token), 'one', { execution: { url: upstream.url } });
    const client = new AbortController();
    const answer = open(token, [{ name: 'one' }], client.signal);
    await arrived;
    client.abort();
    await answer.then((response) => response.text()).catch(() => {});
    await closed;
  });

  it('are an answer like any where the request is refused', async () => {
    const answer = await open(
      makeToken(),
      Array.from({ length: 6 }, () => ({ name: 'x' })),
    );
    expect([answer.status, await answer.json()]).toEqual([
      400,
      { tool_calls: ['tool_calls must have no more than 5 entries (MAX_CALLS_PER_REQUEST).'] },
    ]);
  });
});

function withResolvers() {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { createHttpClient, type Send } from '../testing/http-client.ts';
import { makeToken } from '../testing/make-token.ts';
import { startTestService } from '../testing/start-test-service.ts';
import { startStubWebhook } from '../testing/stub-webhook.ts';
import { makeTestDatabase } from '../testing/test-database.ts';
import { createTool, execute, UPSTREAM_TOKEN } from '../testing/tool-calls.ts';
import { webhookInput } from '../testing/tools-context.ts';
import { deleteUser } from '../user-deletion/delete-user.ts';
import { CallError } from './call.ts';
import { confirmTool, isSeenLately } from './confirm-tool.ts';

const TOOLS = '/ms7/api/v1/tools/';
const CHANGED = 'The tool was changed while the call waited. Call it again.';
const notFound = (name: string) =>
  `There is no tool named "${name}". Call one of the tools that you were given, by its exact name.`;

/** Two replicas on one database, of which the first runs one call of a user at a time. */
async function startReplicas() {
  const database = await makeTestDatabase();
  const first = await startTestService({ MAX_RUNNING_CALLS_PER_USER: '1' }, { database });
  const second = await startTestService({}, { database });
  return {
    first,
    second,
    /** What deletes a user, past the replicas. */
    async deleteUser(userId: string) {
      const handle = await database.open();
      await deleteUser({ database: handle, now: Date.now }, userId);
      await handle.close();
    },
    async [Symbol.asyncDispose]() {
      await first.close();
      await second.close();
      await database.remove();
    },
  };
}

/** An endpoint that answers `/slow` when it is told to, and all else at once. */
async function startUpstream() {
  const held: ServerResponse[] = [];
  const upstream = await startStubWebhook(({ url }, response) => {
    if (url === '/slow') held.push(response);
    else response.end('"ran"');
  });
  return {
    ...upstream,
    /** Once a call holds the place for which others wait, and one waits. */
    untilOneWaits: async (url: string) => {
      const ask = createHttpClient(url);
      const waiting = async () => held.length === 1 && (await ask('GET', '/metrics')).text;
      await expect
        .poll(waiting, { timeout: 10_000, interval: 5 })
        .toMatch(/^tool_calls_waiting(?:\{[^}]*\})? 1$/m);
    },
    release: () => {
      for (const response of held.splice(0)) response.end('"slow"');
    },
    /** What was called, without what holds others up. */
    called: () => upstream.requests.map(({ url }) => url).filter((url) => url !== '/slow'),
  };
}

interface Situation {
  readonly id: string;
  readonly userId: string;
  readonly send: Send;
  readonly url: string;
  readonly deleteUser: (userId: string) => Promise<void>;
}

const authentication = { type: 'bearer', token: UPSTREAM_TOKEN };
const path = ({ id }: Situation) => `${TOOLS}${id}/`;

const happenings: [
  string,
  string | undefined,
  { happen: (it: Situation) => Promise<unknown>; status?: number },
][] = [
  ['runs when nothing happened', undefined, { happen: async () => {} }],
  [
    'does not run once its tool was deleted',
    notFound('waits'),
    { happen: (it) => it.send('DELETE', path(it)), status: 204 },
  ],
  [
    'does not run by a definition that is no more',
    CHANGED,
    {
      happen: (it) => {
        const { definition } = webhookInput('waits', { url: `${it.url}/changed`, authentication });
        return it.send('PATCH', path(it), { body: { definition } });
      },
      status: 200,
    },
  ],
  [
    'does not run for a user who was deleted',
    notFound('waits'),
    { happen: (it) => it.deleteUser(it.userId) },
  ],
];

describe('a call that waited for its turn', () => {
  it.each(happenings)('%s', async (_name, words, { happen, status }) => {
    await using replicas = await startReplicas();
    await using upstream = await startUpstream();
    const userId = randomUUID();
    const token = makeToken({ user_id: userId });
    const send = createHttpClient(replicas.first.url, token);
    await createTool(send, 'slow', { execution: { url: `${upstream.url}/slow` } });
    const { id } = await createTool(send, 'waits', {
      execution: { url: `${upstream.url}/waits`, authentication },
    });
    const results = execute(send, [{ name: 'slow' }, { name: 'waits', idempotency_key: 'a-key' }]);
    await upstream.untilOneWaits(replicas.first.url);

    const elsewhere = createHttpClient(replicas.second.url, token);
    const happened = await happen({
      id,
      userId,
      send: elsewhere,
      url: upstream.url,
      deleteUser: replicas.deleteUser,
    });
    if (status !== undefined) expect(happened).toMatchObject({ status });
    upstream.release();

    const expected =
      words === undefined
        ? { status: 'success', output: '"ran"' }
        : { status: 'error', output: words, error_code: 'tool_not_found' };
    expect(await results).toMatchObject([{ status: 'success', output: '"slow"' }, expected]);
    expect(upstream.called()).toEqual(words === undefined ? ['/waits'] : []);

    if (words === CHANGED) {
      // It has not run, so its key is free; and it runs as it is now.
      const [again] = await execute(send, [{ name: 'waits', idempotency_key: 'a-key' }]);
      expect(again).toMatchObject({ status: 'success', output: '"ran"' });
      expect(upstream.called()).toEqual(['/changed']);
    }
  });

  it('does not run a system tool for a user who was deleted, and runs it for others', async () => {
    await using replicas = await startReplicas();
    await using upstream = await startUpstream();
    const staff = createHttpClient(replicas.first.url, makeToken({ is_staff: true }));
    const input = webhookInput('everybodys', { url: `${upstream.url}/waits` });
    const made = await staff('POST', TOOLS, { body: { ...input, is_system_tool: true } });
    expect(made.status).toBe(201);
    for (const isDeleted of [false, true]) {
      const userId = randomUUID();
      const send = createHttpClient(replicas.first.url, makeToken({ user_id: userId }));
      await createTool(send, 'slow', { execution: { url: `${upstream.url}/slow` } });
      const results = execute(send, [{ name: 'slow' }, { name: 'everybodys' }]);
      await upstream.untilOneWaits(replicas.first.url);
      if (isDeleted) await replicas.deleteUser(userId);
      upstream.release();
      expect((await results)[1]?.output).toBe(isDeleted ? notFound('everybodys') : '"ran"');
    }
    expect(upstream.called()).toEqual(['/waits']);
  });

  it('keeps no place when it does not run', async () => {
    await using replicas = await startReplicas();
    await using upstream = await startUpstream();
    const send = createHttpClient(replicas.first.url, makeToken());
    await createTool(send, 'slow', { execution: { url: `${upstream.url}/slow` } });
    const { id } = await createTool(send, 'gone', { execution: { url: `${upstream.url}/gone` } });
    await createTool(send, 'next', { execution: { url: `${upstream.url}/next` } });
    const results = execute(send, [{ name: 'slow' }, { name: 'gone' }]);
    await upstream.untilOneWaits(replicas.first.url);
    await send('DELETE', `${TOOLS}${id}/`);
    upstream.release();
    await results;
    expect(await execute(send, [{ name: 'next' }])).toMatchObject([{ output: '"ran"' }]);
  });
});

describe('a call that is to be sent again', () => {
  it.each(['delete', 'change', 'keep'])(
    'has the error of before unless its tool is as it was: %s',
    async (what) => {
      await using service = await startTestService();
      const send = createHttpClient(service.url, makeToken());
      let tool = { id: '' };
      let asked = 0;
      await using upstream = await startStubWebhook(async (_request, response) => {
        asked++;
        if (asked > 1) {
          response.end('"ran"');
          return;
        }
        if (what === 'delete') await send('DELETE', `${TOOLS}${tool.id}/`);
        if (what === 'change') await send('PATCH', `${TOOLS}${tool.id}/`, { body: { tool_type: 'mcp' } });
        response.writeHead(502).end();
      });
      tool = await createTool(send, 'one', {
        execution: { url: upstream.url, method: 'GET', authentication },
      });
      const [result] = await execute(send, [{ name: 'one' }]);
      const kept = { status: 'success', output: '"ran"' };
      const output = 'The upstream answered with HTTP status 502.';
      expect(result).toMatchObject(what === 'keep' ? kept : { error_code: 'upstream_error', output });
      expect(asked).toBe(what === 'keep' ? 2 : 1);
    },
  );
});

describe('what is known of a tool', () => {
  it('is believed for a short time', () => {
    const seen = (at: number) => isSeenLately({ resolved: { as: 'one', at } });
    expect([seen(performance.now()), seen(performance.now() - 51)]).toEqual([true, false]);
  });

  it('is nothing while the database does not say: the call has not run, and the cause is in the log', async () => {
    const place = await makeTestDatabase();
    const database = await place.open();
    await database.close();
    const faults: unknown[] = [];
    const confirmed = confirmTool(
      { database, logFault: (error) => faults.push(error) },
      { id: randomUUID(), revision: 1 } as Parameters<typeof confirmTool>[1],
      {
        caller: { kind: 'service', name: 'executor', userId: null },
        requestId: 'request',
        resolved: { as: 'one', at: 0 },
      },
    );
    const error = await confirmed.catch((thrown: unknown) => thrown);
    await place.remove();
    expect(error).toBeInstanceOf(CallError);
    expect(error).toMatchObject({ code: 'internal', mayHaveRun: false });
    expect(faults).toHaveLength(1);
  });
});

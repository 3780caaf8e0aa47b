import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { createHttpClient, nextLink, type Send } from '../../testing/http-client.ts';
import { makeToken } from '../../testing/make-token.ts';
import { startTestService, type TestService } from '../../testing/start-test-service.ts';
import { type StubWebhook, startStubWebhook } from '../../testing/stub-webhook.ts';
import { createTool, execute } from '../../testing/tool-calls.ts';

const PATH = '/ms7/api/v1/executions/';

let service: TestService;
let webhook: StubWebhook;
beforeAll(async () => {
  [service, webhook] = await Promise.all([
    startTestService({ SERVICE_TOKENS: `nodes:${'s'.repeat(32)}` }),
    startStubWebhook(),
  ]);
});
afterAll(async () => {
  await service.close();
  await webhook[Symbol.asyncDispose]();
});

type Row = Record<string, unknown>;
const newUser = () => createHttpClient(service.url, makeToken());

async function list(send: Send, query = '', path = PATH): Promise<Row[]> {
  const answer = await send<Row[]>('GET', `${path}${query}`);
  expect([answer.status, answer.status === 200 ? '' : answer.text]).toEqual([200, '']);
  return answer.json;
}

/** Waits until so many calls of a user are in the history. */
async function rows(send: Send, count: number): Promise<Row[]> {
  return vi.waitFor(
    async () => {
      const found = await list(send, '?limit=1000');
      expect(found).toHaveLength(count);
      return found;
    },
    { timeout: 5000 },
  );
}

const idsOf = (found: readonly Row[]) => found.map(({ tool_call_id: id }) => id);

describe('GET /ms7/api/v1/executions/', () => {
  it('lists what the calls of a user came to, without their payloads', async () => {
    const send = newUser();
    const { id } = await createTool(send, 'hook', { execution: { url: webhook.url } });
    const before = Date.now();
    const sent = await send('POST', '/ms7/api/v1/execute/', {
      body: { tool_calls: [{ id: 'first', name: 'hook', arguments: { word: 'ü' } }] },
    });
    await execute(send, [{ id: 'second', name: 'no such tool' }]);
    const [second, first] = await rows(send, 2);
    expect(Object.keys(first ?? {})).toEqual([
      'id',
      'tool_id',
      'tool_name',
      'tool_call_id',
      'request_id',
      'status',
      'error_code',
      'started_at',
      'duration_ms',
      'attempts',
      'argument_bytes',
      'output_bytes',
      'arguments_hash',
    ]);
    expect(first).toMatchObject({
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
      tool_id: id,
      tool_name: 'hook',
      tool_call_id: 'first',
      request_id: sent.headers['x-request-id'],
      status: 'success',
      error_code: null,
      started_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      attempts: 1,
      argument_bytes: Buffer.byteLength('{"word":"ü"}'),
      output_bytes: Buffer.byteLength('{"word":"ü"}'),
      arguments_hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    const startedAt = Date.parse(String(first?.started_at));
    expect(startedAt).toBeGreaterThanOrEqual(before);
    expect(startedAt).toBeLessThanOrEqual(Date.now());
    expect(second).toMatchObject({
      tool_id: null,
      tool_name: 'no such tool',
      status: 'error',
      error_code: 'tool_not_found',
      attempts: 0,
    });
  });

  it("shows nobody else's, not to an administrator either", async () => {
    const send = newUser();
    await execute(send, [{ id: 'mine', name: 'no such tool' }]);
    const [row] = await rows(send, 1);
    for (const token of [makeToken(), makeToken({ is_staff: true })]) {
      const other = createHttpClient(service.url, token);
      expect(await list(other)).toEqual([]);
      expect(await list(other, '?tool=no+such+tool')).toEqual([]);
      expect(await list(other, `?before=2999-01-01&limit=1000`)).not.toContainEqual(row);
    }
    for (const token of [null, 's'.repeat(32)]) {
      expect((await send('GET', PATH, { token })).status).toBe(401);
    }
  });

  it('filters, and leads from page to page', async () => {
    const send = newUser();
    const { id } = await createTool(send, 'hook', { execution: { url: webhook.url } });
    for (let index = 0; index < 6; index++) {
      await execute(send, [{ id: String(index), name: index % 2 === 0 ? 'hook' : 'none' }]);
    }
    const all = await rows(send, 6);
    expect(idsOf(all)).toEqual(['5', '4', '3', '2', '1', '0']);
    expect(idsOf(await list(send, '', PATH.slice(0, -1)))).toEqual(idsOf(all));
    expect(idsOf(await list(send, '?status=error'))).toEqual(['5', '3', '1']);
    expect(idsOf(await list(send, '?tool=hook'))).toEqual(['4', '2', '0']);
    expect(idsOf(await list(send, `?tool=${id.toUpperCase()}&status=success`))).toEqual(['4', '2', '0']);
    expect(await list(send, `?tool=${randomUUID()}`)).toEqual([]);
    const time = String(all[2]?.started_at);
    const notBefore = all.filter(({ started_at: startedAt }) => String(startedAt) >= time);
    expect(await list(send, `?after=${time}`)).toEqual(notBefore);
    expect(await list(send, `?before=${time}`)).toEqual(all.slice(notBefore.length));
    const zoned = encodeURIComponent(
      new Date(Date.parse(time) + 7_200_000).toISOString().replace('Z', '+02:00'),
    );
    expect(await list(send, `?after=${zoned}`)).toEqual(notBefore);

    const seen: unknown[] = [];
    for (let path: string | undefined = `${PATH}?limit=2&tool=hook&x=y`; path !== undefined; ) {
      const answer: Awaited<ReturnType<typeof send<Row[]>>> = await send<Row[]>('GET', path);
      seen.push(...idsOf(answer.json));
      path = nextLink(answer);
      if (path !== undefined) expect(path).toMatch(/limit=2&tool=hook&x=y&cursor=/);
    }
    expect(seen).toEqual(['4', '2', '0']);
  });

  it.each([
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['limit=ten', 'limit'],
    ['limit=1&limit=2', 'limit'],
    ['cursor=x', 'cursor'],
    ['cursor=', 'cursor'],
    ['tool=', 'tool'],
    ['tool=a&tool=b', 'tool'],
    ['status=', 'status'],
    ['status=canceled', 'status'],
    ['after=yesterday', 'after'],
    ['after=', 'after'],
    ['after=1893456000000', 'after'],
    ['after=2030-01-01T00:00:00', 'after'],
    ['before=2030-02-30', 'before'],
    ['before=2030-01-01T00:00:00Z&before=2030-01-01T00:00:00Z', 'before'],
  ])('refuses ?%s, naming %s', async (query, field) => {
    const answer = await newUser()<Row>('GET', `${PATH}?${query}`);
    expect([answer.status, Object.keys(answer.json)]).toEqual([400, [field]]);
  });

  it('answers to no other method', async () => {
    const answer = await newUser()('POST', PATH, { body: {} });
    expect([answer.status, answer.headers.allow]).toEqual([405, 'GET, HEAD']);
  });
});

describe('the history of a service', () => {
  it('shows arguments and outputs where EXECUTION_PAYLOADS keeps them', async () => {
    await using keeping = await startTestService({ EXECUTION_PAYLOADS: 'true' });
    const send = createHttpClient(keeping.url, makeToken());
    await createTool(send, 'hook', { execution: { url: webhook.url } });
    await execute(send, [{ name: 'hook', arguments: { word: 'ü' } }]);
    await execute(send, [{ name: 'none' }]);
    const [failed, succeeded] = await rows(send, 2);
    expect(succeeded).toMatchObject({ arguments: '{"word":"ü"}', output: '{"word":"ü"}' });
    expect(failed).toMatchObject({
      arguments: '{}',
      output: expect.stringContaining('no tool named "none"'),
    });
  });

  it('outlives it: what was run last is written when it stops', async () => {
    const token = makeToken();
    const folder = mkdtempSync(join(tmpdir(), 'tool-service-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const first = await startTestService({}, { folder });
    await execute(createHttpClient(first.url, token), [{ id: 'last', name: 'none' }]);
    await first.close();
    await using second = await startTestService({}, { folder });
    expect(idsOf(await list(createHttpClient(second.url, token)))).toEqual(['last']);
  });
});

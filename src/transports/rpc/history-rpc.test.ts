import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { JsonObject, JsonValue } from '../../json.ts';
import { makeToken } from '../../testing/make-token.ts';
import { connectJson, type Protocol, protocols } from '../../testing/rpc-clients.ts';
import { startTestService, type TestService } from '../../testing/start-test-service.ts';
import { type StubWebhook, startStubWebhook } from '../../testing/stub-webhook.ts';
import { webhookInput } from '../../testing/tools-context.ts';

const SERVICE_SECRET = 'the-secret-of-the-service-nodes-in-tests';

let service: TestService;
let webhook: StubWebhook;
/** A user with six calls, of which every second one failed. */
const userId = randomUUID();
const token = makeToken({ user_id: userId });
let toolId = '';
beforeAll(async () => {
  [service, webhook] = await Promise.all([
    startTestService({ SERVICE_TOKENS: `nodes:${SERVICE_SECRET}`, EXECUTION_PAYLOADS: 'true' }),
    startStubWebhook(),
  ]);
  using client = connectJson(service.url);
  const tool = { ...webhookInput('hook', { url: webhook.url }) };
  const created = await client.call('CreateTool', { tool }, { token });
  toolId = String(created.body.id);
  for (let index = 0; index < 6; index++) {
    const call = { id: String(index), name: index % 2 === 0 ? 'hook' : 'none', arguments: { index } };
    await client.call('ExecuteMultipleTools', { toolCalls: [call] }, { token });
  }
  await vi.waitFor(
    async () => {
      const { body } = await client.call('ListExecutions', {}, { token });
      expect(body.executions).toHaveLength(6);
    },
    { timeout: 5000 },
  );
});
afterAll(async () => {
  await service.close();
  await webhook[Symbol.asyncDispose]();
});

const executionsOf = (body: JsonObject) => body.executions as JsonObject[];
const idsOf = (body: JsonObject) => executionsOf(body).map(({ toolCallId }) => toolCallId);

describe.each(protocols)('ListExecutions by $name', (protocol: Protocol) => {
  const connect = () => protocol.connect(service.url);
  /** A time as the client takes it: proto-loader knows no JSON mapping of its own. */
  const time = (milliseconds: number): JsonValue => {
    if (protocol.name !== 'gRPC') return new Date(milliseconds).toISOString();
    return { seconds: Math.floor(milliseconds / 1000), nanos: (milliseconds % 1000) * 1e6 };
  };

  test('lists what the calls of a user came to, newest first', async () => {
    using client = connect();
    const { code, body } = await client.call('ListExecutions', {}, { token });
    expect([code, idsOf(body), body.nextPageToken]).toEqual(['OK', ['5', '4', '3', '2', '1', '0'], '']);
    const [failed, succeeded] = executionsOf(body);
    const { startTime, durationMs, ...rest } = succeeded ?? {};
    expect(startTime).toBeTruthy();
    expect(durationMs).toBeGreaterThanOrEqual(0);
    expect(rest).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
      toolId,
      toolName: 'hook',
      toolCallId: '4',
      requestId: expect.stringMatching(/./),
      status: 'success',
      errorCode: '',
      attempts: 1,
      argumentBytes: 11,
      outputBytes: 11,
      argumentsHash: expect.stringMatching(/^[0-9a-f]{64}$/),
      arguments: '{"index":4}',
      output: '{"index":4}',
    });
    expect(failed).toMatchObject({ toolId: '', status: 'error', errorCode: 'tool_not_found', attempts: 0 });
  });

  test('gives pages, and what the filters leave', async () => {
    using client = connect();
    const list = (request: JsonObject) => client.call('ListExecutions', request, { token });
    const first = (await list({ pageSize: 4 })).body;
    const second = (await list({ pageSize: 4, pageToken: String(first.nextPageToken) })).body;
    expect([idsOf(first), idsOf(second), second.nextPageToken]).toEqual([
      ['5', '4', '3', '2'],
      ['1', '0'],
      '',
    ]);
    for (const request of [{ pageSize: 5000 }, { pageSize: 0 }, { userId: userId.toUpperCase() }]) {
      expect(idsOf((await list(request)).body)).toHaveLength(6);
    }
    expect(idsOf((await list({ tool: 'hook' })).body)).toEqual(['4', '2', '0']);
    expect(idsOf((await list({ tool: toolId.toUpperCase(), status: 'success' })).body)).toEqual([
      '4',
      '2',
      '0',
    ]);
    expect(idsOf((await list({ status: 'error', pageSize: 1 })).body)).toEqual(['5']);
    const [now, day] = [Date.now(), 86_400_000];
    expect(idsOf((await list({ startTime: time(now - day), endTime: time(now + day) })).body)).toHaveLength(
      6,
    );
    expect(idsOf((await list({ startTime: time(now + day) })).body)).toEqual([]);
    expect(idsOf((await list({ endTime: time(now - day) })).body)).toEqual([]);
  });

  test("shows a user's own alone, and a service's those of the user whom it names", async () => {
    using client = connect();
    const list = (request: JsonObject, as: string) => client.call('ListExecutions', request, { token: as });
    for (const other of [makeToken(), makeToken({ is_staff: true })]) {
      for (const request of [{}, { tool: toolId }, { tool: 'hook' }]) {
        expect(await list(request, other)).toMatchObject({ code: 'OK', body: { executions: [] } });
      }
      expect(await list({ userId }, other)).toMatchObject({ code: 'PERMISSION_DENIED' });
    }
    expect(idsOf((await list({ userId }, SERVICE_SECRET)).body)).toHaveLength(6);
    expect(await list({}, SERVICE_SECRET)).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await client.call('ListExecutions', { userId })).toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  test('refuses what it cannot read', async () => {
    using client = connect();
    const requests: [JsonObject, string][] = [
      [{ pageSize: -1 }, 'page_size must not be negative.'],
      [{ pageToken: 'x' }, 'page_token: is not one that this service gave out.'],
      [{ status: 'canceled' }, 'status must be one of success, error.'],
    ];
    for (const [request, message] of requests) {
      const answer = await client.call('ListExecutions', request, { token });
      expect([answer.code, answer.message]).toEqual(['INVALID_ARGUMENT', message]);
    }
  });
});

test('ListExecutions refuses times that there are not', async () => {
  using client = protocols.find(({ name }) => name === 'gRPC')?.connect(service.url) as ReturnType<
    Protocol['connect']
  >;
  for (const bad of [
    { seconds: 253_402_300_800, nanos: 0 },
    { seconds: -62_135_596_801, nanos: 0 },
    { seconds: 0, nanos: -1 },
    { seconds: 0, nanos: 1_000_000_000 },
  ]) {
    for (const [field, key] of [
      ['start_time', 'startTime'],
      ['end_time', 'endTime'],
    ] as const) {
      const answer = await client.call('ListExecutions', { [key]: bad }, { token });
      const message = `${field} must be a time from the year 1 to 9999.`;
      expect([answer.code, answer.message]).toEqual(['INVALID_ARGUMENT', message]);
    }
  }
});

import { expect } from 'vitest';
import type { Send } from './http-client.ts';
import { webhookInput } from './tools-context.ts';

export const EXECUTE_PATH = '/ms7/api/v1/execute/';

/** What a tool's upstream is given in a header and in its URL, and what no answer to a caller may hold. */
export const UPSTREAM_TOKEN = 'a-credential-of-the-upstream';
export const UPSTREAM_QUERY = 'key=in-the-query';

export interface CallResult {
  readonly tool_call_id: string;
  readonly name: string;
  readonly status: 'success' | 'error';
  readonly output: string;
  readonly error_code?: string;
  readonly duration_ms: number;
}

export interface Call {
  readonly id?: string;
  readonly name: string;
  readonly arguments?: object;
  readonly timeout_ms?: number;
  readonly idempotency_key?: string;
}

/** Registers a webhook tool whose definition has these keys over those of a plain one. */
export async function createTool(
  send: Send,
  name: string,
  { execution = {}, ...definition }: { execution?: object; [key: string]: unknown },
): Promise<{ id: string }> {
  const input = webhookInput(name, { ...execution });
  const body = { ...input, definition: { ...input.definition, ...definition } };
  const answer = await send<{ id: string }>('POST', '/ms7/api/v1/tools/', { body });
  expect([answer.status, answer.status === 201 ? '' : answer.text]).toEqual([201, '']);
  return answer.json;
}

/** Makes a tool that calls `url` with both credentials. */
export async function createWebhookTool(
  send: Send,
  name: string,
  url: string,
  parameters: object = {},
): Promise<void> {
  const authentication = { type: 'bearer', token: UPSTREAM_TOKEN };
  const input = webhookInput(name, { url: `${url}?${UPSTREAM_QUERY}`, authentication });
  const body = { ...input, definition: { ...input.definition, parameters } };
  expect((await send('POST', '/ms7/api/v1/tools/', { body })).status).toBe(201);
}

/** Runs calls over REST. None of its results may hold a credential. */
export async function execute(send: Send, calls: readonly Call[], headers = {}): Promise<CallResult[]> {
  const body = { tool_calls: calls };
  const answer = await send<{ results: CallResult[] }>('POST', EXECUTE_PATH, { body, headers });
  expect(answer.status).toBe(200);
  for (const secret of [UPSTREAM_TOKEN, UPSTREAM_QUERY]) expect(answer.text).not.toContain(secret);
  return answer.json.results;
}

/** Runs one call, and gives its result without what varies. */
export async function run(
  send: Send,
  call: Call,
  headers: Readonly<Record<string, string>> = {},
): Promise<[status: string, output: string, errorCode?: string]> {
  const [result] = await execute(send, [call], headers);
  if (!result) throw new Error('there is no result');
  const { status, output, error_code: code } = result;
  return code === undefined ? [status, output] : [status, output, code];
}

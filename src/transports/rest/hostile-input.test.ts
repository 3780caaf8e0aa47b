import { afterAll, describe, expect, it } from 'vitest';
import { createHttpClient, said } from '../../testing/http-client.ts';
import { makeToken } from '../../testing/make-token.ts';
import { protocols } from '../../testing/rpc-clients.ts';
import { startTestService } from '../../testing/start-test-service.ts';
import { startStubWebhook } from '../../testing/stub-webhook.ts';
import { EXECUTE_PATH, execute } from '../../testing/tool-calls.ts';
import { webhookInput } from '../../testing/tools-context.ts';

// What was found by attacking the service: each of these once stopped it, or gave something away.

const TOOLS = '/ms7/api/v1/tools/';

const service = await startTestService({ MAX_ANSWER_BYTES: '4096', MAX_OUTPUT_BYTES: '4096' });
afterAll(() => service.close());
const newUser = () => createHttpClient(service.url, makeToken({ user_id: crypto.randomUUID() }));

describe('words about bad input', () => {
  const deep = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

  it('do not repeat what is endless', async () => {
    const send = newUser();
    const headers = { 'content-type': 'application/json' };
    const body = `{"name":"one","definition":{},"tool_type":${deep(100_000)}}`;
    const answer = await send('POST', TOOLS, { body, headers });
    expect(answer.json).toMatchObject({ tool_type: ['"array" is not a valid choice.'] });
    const long = await send('POST', TOOLS, {
      body: { ...webhookInput('one'), tool_type: 'x'.repeat(500_000) },
    });
    expect(said(long)).toEqual([400, `{"tool_type":["\\"${'x'.repeat(60)}…\\" is not a valid choice."]}`]);
  });

  it.each(protocols)(
    'fit into the answer of an RPC and are cut between characters: $name',
    async ({ connect }) => {
      using client = connect(service.url);
      const token = makeToken();
      const { definition } = webhookInput('one', { type: `${'a'.repeat(59)}😀` });
      for (const tool of [
        { name: 'one', toolType: 'x'.repeat(500_000), definition },
        { name: 'one', definition },
      ]) {
        const answer = await client.call('CreateTool', { tool }, { token });
        expect(answer.code).toBe('INVALID_ARGUMENT');
        expect(answer.message.length).toBeLessThan(1100);
      }
    },
  );

  it('come as a result for arguments that nobody can read', async () => {
    await using webhook = await startStubWebhook();
    const send = newUser();
    await send('POST', TOOLS, { body: webhookInput('one', { url: webhook.url }) });
    const headers = { 'content-type': 'application/json' };
    const body = `{"tool_calls":[{"name":"one","arguments":{"a":${deep(100_000)}}}]}`;
    expect((await send('POST', EXECUTE_PATH, { body, headers })).json).toMatchObject({
      results: [{ status: 'error', error_code: 'invalid_arguments' }],
    });
    expect(webhook.requests).toEqual([]);
  });
});

describe('an answer', () => {
  it('holds no more definitions than it may', async () => {
    const token = makeToken({ user_id: crypto.randomUUID() });
    const send = createHttpClient(service.url, token);
    const input = webhookInput('large');
    input.definition.description = 'x'.repeat(2000);
    const { json } = await send<{ id: string }>('POST', TOOLS, { body: input });
    for (const { connect } of protocols) {
      using client = connect(service.url);
      const ask = (count: number) =>
        client.call(
          'GetToolDefinitions',
          { toolIds: Array.from({ length: count }, () => json.id) },
          { token },
        );
      expect((await ask(1)).code).toBe('OK');
      expect(await ask(10_000)).toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('MAX_ANSWER_BYTES'),
      });
    }
  });

  it('holds no more outputs than it may', async () => {
    await using webhook = await startStubWebhook((_, response) => response.end(`"${'x'.repeat(1500)}"`));
    const send = newUser();
    await send('POST', TOOLS, { body: webhookInput('one', { url: webhook.url }) });
    const results = await execute(
      send,
      Array.from({ length: 5 }, () => ({ name: 'one' })),
    );
    const codes = results.map(({ error_code: code }) => code ?? 'success');
    expect(codes.filter((code) => code === 'success')).toHaveLength(2);
    expect(codes.filter((code) => code === 'response_too_large')).toHaveLength(3);
  });
});

describe('a credential that an endpoint gives back', () => {
  it.each([
    ['as it is', (token: string) => token],
    ['with slashes escaped', (token: string) => token.replaceAll('/', '\\/')],
    ['in small hexadecimal', (token: string) => escapeAll(token, (code) => code)],
    ['in capital hexadecimal', (token: string) => escapeAll(token, (code) => code.toUpperCase())],
  ])('is masked %s', async (_, spell) => {
    const token = 'sk/Live+abc.$^(x)==';
    await using webhook = await startStubWebhook((_request, response) =>
      response.end(`{"seen":"Bearer ${spell(token)}"}`),
    );
    const send = newUser();
    const authentication = { type: 'bearer', token };
    await send('POST', TOOLS, { body: webhookInput('one', { url: webhook.url, authentication }) });
    const [result] = await execute(send, [{ name: 'one' }]);
    expect(result).toMatchObject({ status: 'success', output: '{"seen":"Bearer ********"}' });
  });
});

it('an internal function takes no credential, which would be stored in clear', async () => {
  const send = createHttpClient(service.url, makeToken({ is_staff: true }));
  const execution = {
    type: 'internal_function',
    pointer: 'x',
    authentication: { type: 'basic', password: 'y' },
  };
  const input = { ...webhookInput('one'), is_system_tool: true };
  const body = { ...input, definition: { ...input.definition, execution } };
  const message = "Internal functions take no 'authentication'.";
  expect((await send('POST', TOOLS, { body })).json).toEqual({ definition: [message] });
});

function escapeAll(text: string, spell: (code: string) => string): string {
  return [...text].map((c) => `\\u${spell(c.charCodeAt(0).toString(16).padStart(4, '0'))}`).join('');
}

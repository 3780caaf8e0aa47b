import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createHttpClient, said } from '../../testing/http-client.ts';
import { makeToken } from '../../testing/make-token.ts';
import { startTestService } from '../../testing/start-test-service.ts';
import { startStubWebhook } from '../../testing/stub-webhook.ts';
import { webhookInput } from '../../testing/tools-context.ts';

const TOOLS = '/ms7/api/v1/tools/';
const EXECUTE = '/ms7/api/v1/execute/';
const MASK = '********';

type Tool = { id: string };

describe('secrets', () => {
  const secretOf = (name: string) => `s3cr3t-of-${name}-that-nobody-may-see`;
  const input = (name: string, url: string, token: string) =>
    webhookInput(name, { url, authentication: { type: 'bearer', token } });

  it('are masked in every answer, kept by the mask, sent to the webhook, and encrypted at rest', async () => {
    await using service = await startTestService({ LOG_LEVEL: 'trace' });
    await using webhook = await startStubWebhook();
    const user = createHttpClient(service.url, makeToken());
    const secret = secretOf('one');
    const made = await user<Tool>('POST', TOOLS, { body: input('one', `${webhook.url}/a`, secret) });
    const path = `${TOOLS}${made.json.id}/`;
    const call = { tool_calls: [{ id: '1', name: 'one', arguments: { a: 1 } }] };
    const masked = input('one', `${webhook.url}/b`, MASK);
    const answers = [
      made,
      await user('POST', EXECUTE, { body: call }),
      await user('GET', path),
      await user('GET', TOOLS),
      await user('PUT', path, { body: masked }),
      await user('PATCH', path, { body: { definition: masked.definition } }),
      await user('PATCH', path, { body: { tool_type: 'mcp' } }),
      await user('POST', EXECUTE, { body: call }),
      await user('POST', TOOLS, { body: input('one', webhook.url, secret) }),
      await user('PATCH', path, { body: { definition: input('one', 'https://x.example', MASK).definition } }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([201, 200, 200, 200, 200, 200, 200, 200, 409, 400]);
    for (const { text, headers } of answers) expect(text + JSON.stringify(headers)).not.toContain(secret);
    for (const index of [0, 2, 3, 4, 5, 6]) expect(answers[index]?.text).toContain(`"token":"${MASK}"`);
    expect(webhook.requests.map(({ url, headers }) => [url, headers.authorization])).toEqual([
      ['/a', `Bearer ${secret}`],
      ['/b', `Bearer ${secret}`],
    ]);
    expect(JSON.stringify(service.log)).not.toContain(secret);
    const files = readdirSync(service.folder).filter((file) => file.startsWith('tools.db'));
    for (const file of files) expect(readFileSync(join(service.folder, file)).includes(secret)).toBe(false);
    expect(files.length).toBeGreaterThan(0);
  });

  it.each([
    [{ type: 'basic', username: 'me', password: secretOf('basic') }, ['password']],
    [{ type: 'api_key', in: 'header', name: 'X-Key', value: secretOf('key') }, ['value']],
    [
      {
        type: 'oauth2_client_credentials',
        token_url: 'https://x.example/token',
        client_id: 'me',
        client_secret: secretOf('client'),
      },
      ['client_secret'],
    ],
    [
      {
        type: 'standard_webhooks',
        secret: `whsec_${Buffer.alloc(24, 1).toString('base64')}`,
        previous_secret: Buffer.alloc(24, 2).toString('base64'),
      },
      ['secret', 'previous_secret'],
    ],
  ] as [Record<string, string>, string[]][])(
    'of %j are masked, kept and encrypted',
    async (authentication, keys) => {
      await using service = await startTestService({ LOG_LEVEL: 'trace' });
      const user = createHttpClient(service.url, makeToken());
      const secrets = keys.map((key) => authentication[key] ?? '');
      const masked = { ...authentication, ...Object.fromEntries(keys.map((key) => [key, MASK])) };
      const made = await user<Tool>('POST', TOOLS, { body: webhookInput('one', { authentication }) });
      const path = `${TOOLS}${made.json.id}/`;
      const answers = [
        made,
        await user('PUT', path, { body: webhookInput('one', { authentication: masked }) }),
        await user('GET', path),
        await user('GET', TOOLS),
      ];
      expect(answers.map(({ status }) => status)).toEqual([201, 200, 200, 200]);
      const files = readdirSync(service.folder).filter((file) => file.startsWith('tools.db'));
      const stored = files.map((file) => readFileSync(join(service.folder, file)).toString('latin1')).join();
      for (const { text } of answers) expect(text).toContain(JSON.stringify(masked));
      for (const secret of secrets) {
        for (const text of [...answers.map((answer) => answer.text), JSON.stringify(service.log), stored]) {
          expect(text).not.toContain(secret);
        }
      }
      expect(stored).toContain(MASK);
    },
  );

  it('are not kept for another origin, and not where none is stored', async () => {
    await using service = await startTestService();
    const user = createHttpClient(service.url, makeToken());
    const refusal = (words: string) => [
      400,
      JSON.stringify({ definition: [`Authentication 'token': ${words}.`] }),
    ];
    const another = refusal(
      "a stored secret is not sent to another origin: give the secret with the new 'url'",
    );
    const none = refusal(`'${MASK}' keeps a stored secret, but none is stored here`);
    expect(said(await user('POST', TOOLS, { body: input('one', 'https://x.example/', MASK) }))).toEqual(none);

    const { json } = await user<Tool>('POST', TOOLS, {
      body: input('one', 'https://x.example/', secretOf('one')),
    });
    const put = async (body: object) => said(await user('PUT', `${TOOLS}${json.id}/`, { body }));
    for (const url of [
      'http://x.example/',
      'https://x.example:8443/',
      'https://y.example/',
      'https://a.x.example/',
    ]) {
      expect(await put(input('one', url, MASK))).toEqual(another);
    }
    for (const url of ['https://X.example:443/elsewhere?a=b', 'https://x.example']) {
      expect((await put(input('one', url, MASK)))[0]).toBe(200);
    }
    expect((await put(input('one', 'https://y.example/', secretOf('two'))))[0]).toBe(200);
    expect((await put(webhookInput('one', { url: 'https://y.example/' })))[0]).toBe(200);
    expect(await put(input('one', 'https://y.example/', MASK))).toEqual(none);
  });
});

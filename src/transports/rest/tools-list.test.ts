import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Sqlite } from '../../db/sqlite/driver.ts';
import { type Answer, createHttpClient, nextLink, type Send, said } from '../../testing/http-client.ts';
import { makeToken } from '../../testing/make-token.ts';
import { startTestService } from '../../testing/start-test-service.ts';
import { webhookInput } from '../../testing/tools-context.ts';

const TOOLS = '/ms7/api/v1/tools/';
const BUILTIN = ['discover_contextual_tools', 'get_current_weather'];

type Tool = { id: string; name: string; owner_id: string | null };

const service = await startTestService();
afterAll(() => service.close());

const newUser = (claims = {}) => createHttpClient(service.url, makeToken(claims));

async function createAll(send: Send, inputs: readonly object[]): Promise<Tool[]> {
  const answers = await Promise.all(inputs.map((body) => send<Tool>('POST', TOOLS, { body })));
  for (const { status } of answers) expect(status).toBe(201);
  return answers.map(({ json }) => json);
}

async function names(send: Send, query = ''): Promise<string[]> {
  const { status, json } = await send<Tool[]>('GET', TOOLS + query);
  expect(status).toBe(200);
  return json.map(({ name }) => name);
}

/** Follows the links from page to page. */
async function pages(
  send: Send,
  query: string,
): Promise<{ sizes: number[]; tools: Tool[]; links: string[] }> {
  const found = { sizes: [] as number[], tools: [] as Tool[], links: [] as string[] };
  let path: string | undefined = TOOLS + query;
  while (path !== undefined) {
    const page: Answer<Tool[]> = await send<Tool[]>('GET', path);
    expect(page.status).toBe(200);
    found.sizes.push(page.json.length);
    found.tools.push(...page.json);
    path = nextLink(page);
    if (path !== undefined) found.links.push(path);
    else expect(page.headers.link).toBeUndefined();
  }
  return found;
}

describe('the list', () => {
  it('has system tools first, then the own ones, each in byte order of names, and nobody else has', async () => {
    await using service = await startTestService();
    const [send, other, admin] = [{}, {}, { is_staff: true }].map((claims) =>
      createHttpClient(service.url, makeToken(claims)),
    ) as [Send, Send, Send];
    const ordered = ['B', 'Z', 'Za', '_', 'a', 'a b', 'aB', 'ab', 'é', '\uFF5E', '\u{1F600}'];
    await createAll(
      send,
      ordered.toReversed().map((name) => webhookInput(name)),
    );
    await createAll(other, [webhookInput('another')]);
    await createAll(admin, [{ ...webhookInput('zz'), is_system_tool: true }]);
    const system = [...BUILTIN, 'zz'];
    expect(await names(send)).toEqual([...system, ...ordered]);
    expect(await names(admin)).toEqual(system);
    expect((await pages(send, '?limit=3')).tools.map(({ name }) => name)).toEqual([...system, ...ordered]);
  });

  it('shows each tool as it is shown alone', async () => {
    const send = newUser();
    await createAll(send, [webhookInput('one')]);
    const { text, json, headers } = await send<Tool[]>('GET', TOOLS);
    const alone = await Promise.all(json.map(async ({ id }) => (await send('GET', `${TOOLS}${id}/`)).text));
    expect(text).toBe(`[${alone.join(',')}]`);
    expect(headers['content-type']).toBe('application/json; charset=utf-8');
  });

  it('is filtered by words, all of which are in name or description, and by type', async () => {
    const send = newUser();
    await createAll(send, [
      { ...webhookInput('Blue Whale'), tool_type: 'mcp' },
      webhookInput('blue_sky'),
      webhookInput('whale'),
    ]);
    expect(await names(send, '?search=BLUE')).toEqual(['Blue Whale', 'blue_sky']);
    expect(await names(send, '?search=whale+does+blue')).toEqual(['Blue Whale']);
    expect(await names(send, '?search=whale%20nowhere')).toEqual([]);
    expect(await names(send, '?search=%25')).toEqual([]);
    expect(await names(send, '?search=')).toEqual([...BUILTIN, 'Blue Whale', 'blue_sky', 'whale']);
    expect(await names(send, '?tool_type=mcp')).toEqual(['discover_contextual_tools', 'Blue Whale']);
    expect(await names(send, '?tool_type=standard&search=whale')).toEqual(['whale']);
    expect(await names(send, '?unknown=1&search=weather')).toEqual(['get_current_weather']);
  });

  it('comes in pages that are linked, under the same filters', async () => {
    const send = newUser();
    const inputs = Array.from({ length: 7 }, (_, index) => webhookInput(`page & ${index} ü`));
    await createAll(send, inputs);
    const whole = await names(send);
    for (const limit of [1, 2, 4, 8]) {
      const { sizes, tools } = await pages(send, `?limit=${limit}`);
      expect(tools.map(({ name }) => name)).toEqual(whole);
      expect(sizes.slice(0, -1).every((size) => size === limit)).toBe(true);
    }
    expect((await pages(send, '?limit=9')).sizes).toEqual([9]);
    const filtered = await pages(send, '?tool_type=standard&limit=3&search=page+%26+%C3%BC');
    expect(filtered.tools.map(({ name }) => name)).toEqual(inputs.map(({ name }) => name));
    const last = new URL(filtered.links.at(-1) ?? '', service.url).searchParams;
    expect([last.get('search'), last.get('tool_type'), last.get('limit')]).toEqual([
      'page & ü',
      'standard',
      '3',
    ]);
  });

  it('goes on where it was when a tool is deleted meanwhile', async () => {
    const send = newUser();
    const tools = await createAll(
      send,
      ['a', 'b', 'c'].map((name) => webhookInput(name)),
    );
    const next = nextLink(await send('GET', `${TOOLS}?limit=4&x=1`)) ?? '';
    await send('DELETE', `${TOOLS}${tools[1]?.id}/`);
    expect(await names(send, next.slice(TOOLS.length))).toEqual(['c']);
  });

  it.each([
    ...['0', '1001', '-1', '1.5', '1e2', 'ten', '', '+5', '%20', '99999999999999999999'].map((value) => [
      `limit=${value}`,
      '{"limit":["must be a whole number from 1 to 1000."]}',
    ]),
    ...[
      '',
      'abc',
      'W10',
      'WyJ4IiwiYSJd',
      'WyJvIiwiYSJd!',
      'WyJvIiwiYSJd=',
      'WyAibyIsImEiXQ',
      '%00',
      'null',
    ].map((value) => [`cursor=${value}`, '{"cursor":["is not one that this service gave out."]}']),
    ['limit=1&limit=2', '{"limit":["must be given once."]}'],
    ['search=a&search=b', '{"search":["must be given once."]}'],
    [`search=${'a'.repeat(1001)}`, '{"search":["must have no more than 1000 characters."]}'],
    ['tool_type=x', '{"tool_type":["\\"x\\" is not a valid choice."]}'],
  ])('refuses ?%s', async (query, body) => {
    expect(said(await newUser()('GET', `${TOOLS}?${query}`))).toEqual([400, body]);
  });

  it('takes its own cursor', async () => {
    const cursor = Buffer.from('["o","a"]').toString('base64url');
    expect(await names(newUser(), `?cursor=${cursor}`)).toEqual([]);
  });
});

it('shows at most 1000 tools without a limit, and where there are more', async () => {
  await using service = await startTestService();
  const send = createHttpClient(service.url, makeToken());
  const [made] = await createAll(send, [webhookInput('one')]);
  const database = new Sqlite(join(service.folder, 'tools.db'));
  const columns = 'owner_id, tool_type, revision, created_at, updated_at, description, definition';
  database.exec(
    `insert into tools (id, name, ${columns})
     with recursive n (i) as (select 1 union all select i + 1 from n where i < 1000)
     select id || i, name || i, ${columns} from tools, n where id = '${made?.id}'`,
  );
  database.close();
  const first = await send<Tool[]>('GET', TOOLS);
  const second = await send<Tool[]>('GET', nextLink(first) ?? '');
  expect([first.json.length, second.json.length, second.headers.link]).toEqual([1000, 3, undefined]);
  const names = [...first.json, ...second.json].map(({ name }) => name);
  expect(new Set(names).size).toBe(1003);
});

it('refuses what exceeds a limit, and names the limit', async () => {
  const settings = { MAX_TOOLS_PER_USER: '1', MAX_DEFINITION_BYTES: '1024', MAX_BODY_BYTES: '4096' };
  await using limited = await startTestService(settings);
  const send = createHttpClient(limited.url, makeToken());
  await createAll(send, [webhookInput('one')]);
  const post = async (body: unknown) => {
    const { status, text } = await send('POST', TOOLS, { body });
    return [status, text];
  };
  expect(await post(webhookInput('two'))).toEqual([
    400,
    '{"non_field_errors":["You may own no more than 1 tools (MAX_TOOLS_PER_USER)."]}',
  ]);
  const large = webhookInput('large', { padding: 'é'.repeat(500) });
  const bytes = Buffer.byteLength(JSON.stringify(large.definition));
  const words = 'Definition must have no more than 1024 bytes as JSON (MAX_DEFINITION_BYTES)';
  expect(await post(large)).toEqual([400, `{"definition":["${words}; it has ${bytes}."]}`]);
  const tooLarge = [413, '{"detail":"Request body is too large (MAX_BODY_BYTES)."}'];
  expect(await post(' '.repeat(4097))).toEqual(tooLarge);
  expect(await post(`${JSON.stringify(webhookInput('one'))}${' '.repeat(3000)}`)).toEqual([
    400,
    '{"non_field_errors":["You may own no more than 1 tools (MAX_TOOLS_PER_USER)."]}',
  ]);
  const chunked = { 'content-length': undefined, 'transfer-encoding': 'chunked' };
  expect(said(await send('POST', TOOLS, { body: ' '.repeat(4097), headers: chunked }))).toEqual(tooLarge);
});

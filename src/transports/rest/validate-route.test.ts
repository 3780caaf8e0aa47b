import { randomUUID } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { createHttpClient, said } from '../../testing/http-client.ts';
import { makeToken } from '../../testing/make-token.ts';
import { startTestService } from '../../testing/start-test-service.ts';
import { webhookInput } from '../../testing/tools-context.ts';

const VALIDATE = '/ms7/internal/v1/tools/validate/';
const TOOLS = '/ms7/api/v1/tools/';
const NO_LIST = `{"error":"'tool_ids' must be a list."}`;
const NO_UUIDS = '{"error":"One or more tool IDs are not valid UUIDs."}';
const DENIED = '{"error":"One or more tool IDs are invalid or you do not have permission to use them."}';

type Tool = { id: string; owner_id: string | null };

const service = await startTestService();
afterAll(() => service.close());

const newUser = (claims = {}) => createHttpClient(service.url, makeToken(claims));
const send = newUser();
const { id: own } = (await send<Tool>('POST', TOOLS, { body: webhookInput('own') })).json;
const { id: others } = (await newUser()<Tool>('POST', TOOLS, { body: webhookInput('other') })).json;
const system = (await send<Tool[]>('GET', TOOLS)).json.find((tool) => tool.owner_id === null)?.id ?? '';

describe('validating tool ids', () => {
  it.each([
    ['own and system tools', { tool_ids: [own, system] }],
    ['duplicates', { tool_ids: [own, own, own.toUpperCase()] }],
    ['no hyphens', { tool_ids: [own.replaceAll('-', '')] }],
    ['braces', { tool_ids: [`{${own}}`, `{${own.toUpperCase()}}`] }],
    ['URNs', { tool_ids: [`urn:uuid:${own}`, `URN:UUID:${system}`] }],
    ['no ids', { tool_ids: [] }],
    ['an empty object', {}],
    ['an empty list', []],
    ['no body', undefined],
    ['other fields', { more: 1, tool_ids: [own] }],
  ])('agrees to %s', async (_case, body) => {
    for (const path of [VALIDATE, VALIDATE.slice(0, -1)]) {
      expect(said(await send('POST', path, { body }))).toEqual([204, '']);
    }
  });

  it.each([
    ['a string', { tool_ids: own }, NO_LIST],
    ['null', { tool_ids: null }, NO_LIST],
    ['an object', { tool_ids: { 0: own } }, NO_LIST],
    ['a number', { tool_ids: 1 }, NO_LIST],
    ['a body that is a list of ids', [own], NO_LIST],
    ['a body that is null', 'null', NO_LIST],
    ['a body that is a string', '"x"', NO_LIST],
    ['a number in the list', { tool_ids: [own, 1] }, NO_UUIDS],
    ['null in the list', { tool_ids: [null] }, NO_UUIDS],
    ['a list in the list', { tool_ids: [[own]] }, NO_UUIDS],
    ['an empty string', { tool_ids: [''] }, NO_UUIDS],
    ['space around an id', { tool_ids: [` ${own}`] }, NO_UUIDS],
    ['an id that is too long', { tool_ids: [`${own}0`] }, NO_UUIDS],
    ['another hyphenation', { tool_ids: [`${own.replace('-', '')}-`] }, NO_UUIDS],
    ['an id that is none, beside one that is unknown', { tool_ids: [randomUUID(), 'x'] }, NO_UUIDS],
  ])('refuses %s', async (_case, body, refusal) => {
    expect(said(await send('POST', VALIDATE, { body }))).toEqual([400, refusal]);
  });

  it.each([
    ["another's tool", [others]],
    ["another's tool among own ones", [own, others, system]],
    ['an unknown tool', [randomUUID()]],
  ])('denies %s, to an administrator too', async (_case, ids) => {
    const body = { tool_ids: ids };
    expect(said(await send('POST', VALIDATE, { body }))).toEqual([403, DENIED]);
    expect(said(await newUser({ is_staff: true })('POST', VALIDATE, { body }))).toEqual([403, DENIED]);
  });

  it('follows what happens to a tool', async () => {
    const { json } = await send<Tool>('POST', TOOLS, { body: webhookInput('passing') });
    const body = { tool_ids: [json.id] };
    expect((await send('POST', VALIDATE, { body })).status).toBe(204);
    await send('DELETE', `${TOOLS}${json.id}/`);
    expect(said(await send('POST', VALIDATE, { body }))).toEqual([403, DENIED]);
  });

  it('takes many ids, and no more than the limit', async () => {
    await using limited = await startTestService({ MAX_TOOL_IDS_PER_REQUEST: '3' });
    const user = createHttpClient(limited.url, makeToken());
    const ids = Array.from({ length: 4 }, () => randomUUID());
    expect(said(await user('POST', VALIDATE, { body: { tool_ids: ids } }))).toEqual([
      400,
      `{"error":"'tool_ids' must have no more than 3 entries (MAX_TOOL_IDS_PER_REQUEST)."}`,
    ]);
    expect(said(await user('POST', VALIDATE, { body: { tool_ids: ids.slice(1) } }))).toEqual([403, DENIED]);
    const body = { tool_ids: Array.from({ length: 10_000 }, () => own) };
    expect((await send('POST', VALIDATE, { body })).status).toBe(204);
  });
});

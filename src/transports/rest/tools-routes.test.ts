import { randomUUID } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { createHttpClient, type Send, said } from '../../testing/http-client.ts';
import { makeToken } from '../../testing/make-token.ts';
import { startTestService } from '../../testing/start-test-service.ts';
import { webhookInput } from '../../testing/tools-context.ts';

const TOOLS = '/ms7/api/v1/tools/';
const NOT_FOUND = '{"detail":"Tool not found or you do not have permission to access it."}';
const FORBIDDEN = '{"detail":"You do not have permission to perform this action."}';
const CHANGED = '{"detail":"The tool was changed meanwhile: its ETag is another. Read it again."}';
const KEYS = 'id,name,tool_type,definition,is_system_tool,owner_id,created_at,updated_at';

type Tool = Record<'id' | 'name' | 'tool_type' | 'created_at' | 'updated_at', string> & {
  definition: { description: string; execution: Record<string, unknown> };
  owner_id: string | null;
  is_system_tool: boolean;
};

const service = await startTestService();
afterAll(() => service.close());

const newUser = (claims = {}) => createHttpClient(service.url, makeToken(claims));
const newAdmin = () => newUser({ is_staff: true });

async function create(send: Send, input: object = webhookInput('one')): Promise<Tool> {
  const { status, json } = await send<Tool>('POST', TOOLS, { body: input });
  expect(status).toBe(201);
  return json;
}

async function builtin(send: Send, name = 'get_current_weather'): Promise<Tool> {
  const { json } = await send<Tool[]>('GET', `${TOOLS}?search=${name}`);
  const tool = json.find((candidate) => candidate.name === name);
  if (!tool) throw new Error(`there is no ${name}`);
  return tool;
}

describe('one tool', () => {
  it('is made, and shown whole with its keys in order', async () => {
    const userId = randomUUID();
    const send = newUser({ user_id: userId.toUpperCase() });
    const made = await send<Tool>('POST', TOOLS, { body: { ...webhookInput(' one '), tool_type: 'mcp' } });
    expect(made.status).toBe(201);
    expect(Object.keys(made.json).join()).toBe(KEYS);
    expect(made.json).toEqual({
      id: expect.stringMatching(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/),
      name: 'one',
      tool_type: 'mcp',
      definition: webhookInput(' one ').definition,
      is_system_tool: false,
      owner_id: userId,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/),
      updated_at: made.json.created_at,
    });
    expect(made.headers).toMatchObject({
      location: `${TOOLS}${made.json.id}/`,
      'content-type': 'application/json; charset=utf-8',
    });
    const seen = await send('GET', made.headers.location ?? '');
    expect([seen.status, seen.text, seen.headers.etag]).toEqual([200, made.text, made.headers.etag]);
  });

  it('ignores fields that are unknown or not for the caller to write', async () => {
    const send = newUser();
    const readOnly = { id: randomUUID(), owner_id: null, created_at: 'x', is_system_tool: true, more: [1] };
    const tool = await create(send, { ...webhookInput('one'), ...readOnly });
    expect(tool).toMatchObject({ tool_type: 'standard', is_system_tool: false });
    expect(tool.owner_id).not.toBeNull();
    expect(tool.id).not.toBe(readOnly.id);
    const { status, json } = await send('PATCH', `${TOOLS}${tool.id}/`, { body: readOnly });
    expect([status, json]).toEqual([200, { ...tool, updated_at: expect.any(String) }]);
  });

  it('is replaced by PUT, which keeps the type, and changed in part by PATCH', async () => {
    const send = newUser();
    const tool = await create(send, { ...webhookInput('one'), tool_type: 'mcp' });
    const path = `${TOOLS}${tool.id}/`;
    const put = await send<Tool>('PUT', path, { body: webhookInput('two') });
    expect([put.status, put.json]).toEqual([
      200,
      { ...tool, ...webhookInput('two'), updated_at: expect.any(String) },
    ]);
    expect(Object.keys(put.json).join()).toBe(KEYS);
    const partial = await send('PUT', path, { body: { name: 'two' } });
    expect(said(partial)).toEqual([400, '{"definition":["This field is required."]}']);
    const patch = await send<Tool>('PATCH', path, { body: { tool_type: 'standard' } });
    expect(patch.json).toEqual({
      ...put.json,
      tool_type: 'standard',
      updated_at: patch.json.updated_at,
    });
    expect((await send('GET', path)).text).toBe(patch.text);
  });

  it('has a name that is unique among those of its owner', async () => {
    const send = newUser();
    const [one] = [await create(send), await create(send, webhookInput('two')), await create(newUser())];
    const conflict = [409, '{"detail":"A tool named \\"two\\" already exists."}'];
    for (const [method, path] of [
      ['POST', ''],
      ['PUT', `${one.id}/`],
      ['PATCH', `${one.id}/`],
    ] as const) {
      expect(said(await send(method, TOOLS + path, { body: webhookInput('two') }))).toEqual(conflict);
    }
    expect((await send('PATCH', `${TOOLS}${one.id}/`, { body: { name: 'one' } })).status).toBe(200);
  });

  it('is deleted', async () => {
    const send = newUser();
    const { id } = await create(send);
    const deleted = await send('DELETE', `${TOOLS}${id}/`);
    expect(said(deleted)).toEqual([204, '']);
    const again = await send('DELETE', `${TOOLS}${id}/`);
    expect(said(again)).toEqual([404, NOT_FOUND]);
  });

  it('answers to its id in any spelling, with or without a slash at the end', async () => {
    const send = newUser();
    const { id } = await create(send);
    const { text } = await send('GET', `${TOOLS}${id}/`);
    for (const spelling of [id.toUpperCase(), id.replaceAll('-', ''), id.replaceAll('-', '').toUpperCase()]) {
      for (const end of ['/', '', '/?x=1']) {
        const seen = await send('GET', `${TOOLS}${spelling}${end}`);
        expect(said(seen)).toEqual([200, text]);
      }
    }
    expect((await send('DELETE', `${TOOLS}${id}`)).status).toBe(204);
  });
});

describe('entity tags', () => {
  it('guard a change, before the body is looked at', async () => {
    const send = newUser();
    const { id } = await create(send);
    const path = `${TOOLS}${id}/`;
    const { etag = '' } = (await send('GET', path)).headers;
    expect(etag).toMatch(/^"[^"]+"$/);
    for (const method of ['PUT', 'PATCH', 'DELETE']) {
      for (const tag of ['"other"', `W/${etag}`, `"a", W/${etag}`]) {
        const headers = { 'if-match': tag, 'content-type': 'text/plain' };
        expect(said(await send(method, path, { body: '{', headers }))).toEqual([412, CHANGED]);
      }
    }
    const changed = await send('PATCH', path, { body: {}, headers: { 'if-match': `"a", ${etag}` } });
    expect([changed.status, changed.headers.etag === etag]).toEqual([200, false]);
    expect((await send('PATCH', path, { body: {}, headers: { 'if-match': '*' } })).status).toBe(200);
    expect((await send('DELETE', path, { headers: { 'if-match': changed.headers.etag } })).status).toBe(412);
  });

  it('save a reader what is known', async () => {
    const send = newUser();
    const { id } = await create(send);
    const path = `${TOOLS}${id}/`;
    const { etag = '' } = (await send('GET', path)).headers;
    for (const [tag, expected] of [
      [etag, 304],
      [`W/${etag}`, 304],
      [`"a", ${etag}`, 304],
      ['*', 304],
      ['"a"', 200],
    ] as const) {
      for (const method of ['GET', 'HEAD']) {
        const { status, headers, text } = await send(method, path, { headers: { 'if-none-match': tag } });
        expect([status, headers.etag, text === '']).toEqual([
          expected,
          etag,
          expected === 304 || method === 'HEAD',
        ]);
      }
    }
  });
});

describe("another's tool", () => {
  it('is alike to the byte with one that is not there, to an administrator too', async () => {
    const { id } = await create(newUser());
    const unknown = [randomUUID(), 'abc', `{${id}}`, `urn:uuid:${id}`, `${id}0`, '%00'];
    for (const send of [newUser(), newAdmin()]) {
      for (const method of ['GET', 'PUT', 'PATCH', 'DELETE']) {
        const answers = [id, ...unknown].map(async (candidate) => {
          const body = method === 'GET' ? undefined : '{"name":';
          const headers = { 'if-match': '"x"', 'x-request-id': 'same' };
          const answer = await send(method, `${TOOLS}${candidate}/`, { body, headers });
          return { ...answer, headers: { ...answer.headers, date: '' } };
        });
        const [first, ...others] = await Promise.all(answers);
        expect(first).toMatchObject({ status: 404, text: NOT_FOUND });
        for (const other of others) expect(other).toEqual(first);
      }
    }
  });
});

describe('system tools', () => {
  it('are made, changed and deleted by administrators alone', async () => {
    const [admin, user] = [newAdmin(), newUser()];
    const name = `system-${randomUUID()}`;
    const tool = await create(admin, { ...webhookInput(name), is_system_tool: true });
    expect(tool).toMatchObject({ is_system_tool: true, owner_id: null });
    const path = `${TOOLS}${tool.id}/`;
    expect((await user('GET', path)).json).toEqual(tool);

    for (const method of ['PUT', 'PATCH', 'DELETE']) {
      for (const body of [webhookInput(name), '{"malformed', '']) {
        const headers = { 'if-match': '"x"', 'content-type': 'text/plain' };
        expect(said(await user(method, path, { body, headers }))).toEqual([403, FORBIDDEN]);
      }
    }
    const again = await newAdmin()('POST', TOOLS, { body: { ...webhookInput(name), is_system_tool: true } });
    expect(said(again)).toEqual([409, `{"detail":"A tool named \\"${name}\\" already exists."}`]);
    await create(user, webhookInput(name));
    expect(await create(admin, { ...webhookInput(name), is_system_tool: 'true' })).toMatchObject({
      is_system_tool: false,
    });
    const changed = await newAdmin()<Tool>('PATCH', path, { body: { tool_type: 'mcp' } });
    expect(changed.json).toMatchObject({ id: tool.id, tool_type: 'mcp', owner_id: null });
    expect((await admin('DELETE', path)).status).toBe(204);
    expect((await user('GET', path)).text).toBe(NOT_FOUND);
  });

  it('that are built in can be changed but not deleted, and show their pointer to administrators alone', async () => {
    const [admin, user] = [newAdmin(), newUser()];
    const { id, definition } = await builtin(admin);
    const path = `${TOOLS}${id}/`;
    const pointer = 'tools.standard_tools.weather.get_current_weather';
    expect(definition.execution).toEqual({ type: 'internal_function', pointer });
    expect((await user<Tool>('GET', path)).json.definition.execution).toEqual({ type: 'internal_function' });
    expect((await user('GET', TOOLS)).text).not.toContain('tools.');

    const deleted = await admin('DELETE', path);
    expect(said(deleted)).toEqual([409, '{"detail":"A built-in system tool cannot be deleted."}']);
    expect((await user('DELETE', path)).status).toBe(403);
    const edited = { ...definition, description: 'Says how the weather is.' };
    const patched = await admin<Tool>('PATCH', path, { body: { definition: edited } });
    expect([patched.status, patched.json.definition]).toEqual([200, edited]);
    const unknown = { ...definition, execution: { type: 'internal_function', pointer: 'os.system' } };
    const refused = await admin('PATCH', path, { body: { definition: unknown } });
    expect([refused.status, refused.json]).toEqual([
      400,
      { definition: ["There is no internal function 'os.system'."] },
    ]);
  });
});

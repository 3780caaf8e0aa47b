import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../json.ts';
import { makeToken } from '../../testing/make-token.ts';
import {
  connectJson,
  oldProtocols,
  type Protocol,
  protocols,
  type RpcAnswer,
} from '../../testing/rpc-clients.ts';
import { startTestService, type TestService } from '../../testing/start-test-service.ts';
import { webhookInput } from '../../testing/tools-context.ts';

const refusal = (code: string, message: string) => ({ code, message });
const invalid = (message: string) => refusal('INVALID_ARGUMENT', message);
const INVALID_UUID = invalid('Invalid UUID format for user_id or tool_ids.');
const NOT_FOUND = refusal('NOT_FOUND', 'Tool not found or you do not have permission to access it.');
const NOT_YOURS = 'One or more tool IDs are invalid or you do not have permission to use them.';
const NOT_ALL = 'Could not find all requested tools or permission denied for one or more tools.';
const CHANGED = refusal('ABORTED', 'The tool was changed meanwhile: its ETag is another. Read it again.');
const FORBIDDEN = refusal('PERMISSION_DENIED', 'You do not have permission to perform this action.');
const SERVICE_SECRET = 'the secret of the service nodes in tests'.replaceAll(' ', '-');

let service: TestService;
/** Of the built-in tool `get_current_weather`. */
let systemId: string;
beforeAll(async () => {
  service = await startTestService({ SERVICE_TOKENS: `nodes:${SERVICE_SECRET}` });
  const request = { search: 'get_current_weather' };
  const { body } = await connectJson(service.url).call('ListTools', request, { token: makeToken() });
  systemId = (body.tools as { id: string }[])[0]?.id ?? '';
});
afterAll(() => service.close());

/** Somebody new, who calls by one protocol. */
function newUser(protocol: Protocol, claims: Record<string, unknown> = {}) {
  const userId = randomUUID();
  const token = makeToken({ user_id: userId, ...claims });
  const client = protocol.connect(service.url);
  const call = (method: string, request: JsonObject) => client.call(method, request, { token });
  return { userId, token, call, [Symbol.dispose]: () => client[Symbol.dispose]() };
}

const definition = (name: string): JsonObject => webhookInput(name).definition;

/** Made by Connect, since the stubs of the old service cannot. */
async function addTool(token: string, name: string, execution?: JsonObject): Promise<string> {
  const tool = { ...webhookInput('stored_name', execution), name };
  const { body } = await connectJson(service.url).call('CreateTool', { tool }, { token });
  return String(body.id);
}

const spellings = [
  (id: string) => id.toUpperCase(),
  (id: string) => id.replaceAll('-', ''),
  (id: string) => `{${id}}`,
  (id: string) => `urn:uuid:${id}`,
];

/** What must not tell an unknown tool from another's: all but what differs from request to request. */
function comparable({ code, message, metadata }: RpcAnswer) {
  const { date, 'x-request-id': requestId, ...rest } = metadata;
  return { code, message, metadata: rest };
}

describe.each(oldProtocols)('The old RPCs of the registry by $name', (protocol) => {
  test('ValidateTools authorizes own and system tools, duplicates, any spelling, and no ids', async () => {
    using user = newUser(protocol);
    const own = await addTool(user.token, 'own');
    const requests: JsonObject[] = [
      { userId: user.userId, toolIds: [own, systemId] },
      { userId: user.userId, toolIds: [own, own, systemId, own] },
      { userId: user.userId, toolIds: [] },
      { toolIds: [own] },
      ...spellings.map((spell) => ({ userId: spell(user.userId), toolIds: [spell(own)] })),
    ];
    const authorized = { code: 'OK', body: { authorized: true, errorMessage: '' } };
    for (const request of requests) {
      expect(await user.call('ValidateTools', request)).toMatchObject(authorized);
    }
  });

  test('GetToolDefinitions answers in the order asked, one for each id, without secrets', async () => {
    using user = newUser(protocol);
    const a = await addTool(user.token, 'tool_a', { authentication: { type: 'bearer', token: 'a-secret' } });
    const b = await addTool(user.token, 'tool_b');
    const toolIds = [b, systemId, a.toUpperCase(), b];
    const { body } = await user.call('GetToolDefinitions', { userId: user.userId, toolIds });
    expect(JSON.stringify(body)).not.toContain('a-secret');
    const definitions = body.definitions as JsonObject[];
    const names = definitions.map(({ name }) => name);
    expect(names).toEqual(['tool_b', 'get_current_weather', 'tool_a', 'tool_b']);
    expect(definitions[0]).toEqual({ ...definition('stored_name'), name: 'tool_b' });
    expect(definitions[1]?.execution).toEqual({ type: 'internal_function' });
    const authentication = { type: 'bearer', token: '********' };
    expect(definitions[2]).toMatchObject({ execution: { authentication } });
    const none = await user.call('GetToolDefinitions', {});
    expect(none).toMatchObject({ code: 'OK', body: { definitions: [] } });
  });

  test.each([
    ['ValidateTools', refusal('PERMISSION_DENIED', NOT_YOURS)],
    ['GetToolDefinitions', refusal('NOT_FOUND', NOT_ALL)],
  ])("%s refuses another's tool and an unknown one alike, and what is no UUID", async (method, expected) => {
    using user = newUser(protocol);
    const { userId } = user;
    const [own, foreign] = [await addTool(user.token, 'own'), await addTool(makeToken(), 'foreign')];
    const another = await user.call(method, { userId, toolIds: [own, foreign] });
    expect(another).toMatchObject(expected);
    const unknown = await user.call(method, { userId, toolIds: [own, randomUUID()] });
    expect(comparable(unknown)).toEqual(comparable(another));

    for (const toolIds of [[own, 'x'], [''], [`${own} `]]) {
      expect(await user.call(method, { userId, toolIds })).toMatchObject(INVALID_UUID);
    }
    expect(await user.call(method, { userId: 'x', toolIds: [own] })).toMatchObject(INVALID_UUID);
    using client = protocol.connect(service.url);
    expect(await client.call(method, {}, { token: SERVICE_SECRET })).toMatchObject(INVALID_UUID);
  });
});

describe.each(protocols)('The registry by $name', (protocol) => {
  test('creates, reads, changes and deletes a tool', async () => {
    using user = newUser(protocol);
    const created = await user.call('CreateTool', { tool: { name: ' a ', definition: definition('x') } });
    const expected = { name: 'a', toolType: 'standard', ownerId: user.userId, etag: '"1"' };
    expect(created).toMatchObject({ code: 'OK', body: expected });
    const { id = '', createdAt = '', updatedAt } = created.body as Record<string, string>;
    expect(Math.abs(Date.parse(createdAt) - Date.now())).toBeLessThan(60_000);
    expect(updatedAt).toBe(createdAt);
    expect(created.body.definition).toEqual({ ...definition('x'), name: 'a' });
    for (const spell of spellings) {
      expect((await user.call('GetTool', { id: spell(id) })).body).toEqual(created.body);
    }
    const updated = await user.call('UpdateTool', { tool: { id, toolType: 'mcp', etag: '"1"' } });
    expect(updated).toMatchObject({ code: 'OK', body: { name: 'a', toolType: 'mcp', etag: '"2"' } });
    expect(await user.call('DeleteTool', { id, etag: '"2"' })).toMatchObject({ code: 'OK', body: {} });
    expect(await user.call('DeleteTool', { id })).toMatchObject(NOT_FOUND);
  });

  test('lists pages in order, and what the filters leave', async () => {
    using user = newUser(protocol);
    for (const name of ['b', 'B', 'ä', 'a needle']) await addTool(user.token, name);
    const all = ['discover_contextual_tools', 'get_current_weather', 'B', 'a needle', 'b', 'ä'];
    const list = async (request: JsonObject) => {
      const { body } = await user.call('ListTools', request);
      const names = (body.tools as JsonObject[]).map(({ name }) => name);
      return { names, next: String(body.nextPageToken) };
    };
    const first = await list({ pageSize: 4 });
    expect(first.names).toEqual(all.slice(0, 4));
    expect(await list({ pageSize: 2, pageToken: first.next })).toEqual({ names: all.slice(4), next: '' });
    expect(await list({})).toEqual({ names: all, next: '' });
    expect((await list({ pageSize: 5000 })).names).toEqual(all);
    expect((await list({ search: 'NEEDLE a' })).names).toEqual(['a needle']);
    expect((await list({ toolType: 'mcp' })).names).toEqual(['discover_contextual_tools']);

    for (const [request, message] of [
      [{ pageSize: -1 }, 'page_size must not be negative.'],
      [{ toolType: 'x' }, 'tool_type must be one of standard, mcp.'],
      [{ pageToken: 'x' }, 'page_token: is not one that this service gave out.'],
      [{ userId: 'x' }, 'user_id must be a UUID.'],
    ] as const) {
      expect(await user.call('ListTools', request)).toMatchObject(invalid(message));
    }
  });

  test('changes the fields that the mask names', async () => {
    using user = newUser(protocol);
    const id = await addTool(user.token, 'old');
    const update = (tool: JsonObject, updateMask: string) =>
      user.call('UpdateTool', { tool: { id, ...tool }, updateMask });

    const both = { name: 'new', toolType: 'mcp' };
    expect((await update(both, 'toolType')).body).toMatchObject({ name: 'old', toolType: 'mcp' });
    expect((await update(both, 'name,toolType')).body).toMatchObject(both);
    const whole = { name: 'whole', definition: definition('x') };
    expect((await update(whole, '*')).body).toMatchObject({ ...both, name: 'whole', etag: '"4"' });

    const cannot = 'cannot be changed; name, tool_type and definition can.';
    for (const [tool, mask, message] of [
      [both, 'name,ownerId', `update_mask: "owner_id" ${cannot}`],
      [both, '*', 'definition: This field is required.'],
      [{}, 'name', 'name: This field may not be blank.'],
      [{}, 'toolType', 'tool_type: "" is not a valid choice.'],
      [{}, 'definition', 'definition: Definition must be a valid JSON object.'],
    ] as const) {
      expect(await update(tool, mask)).toMatchObject(invalid(message));
    }
    expect((await user.call('GetTool', { id })).body).toMatchObject({ name: 'whole', etag: '"4"' });
  });

  test('refuses names that are taken, etags of before, and what is no tool', async () => {
    using user = newUser(protocol);
    const [id] = [await addTool(user.token, 'a'), await addTool(user.token, 'b')];
    const taken = refusal('ALREADY_EXISTS', 'A tool named "b" already exists.');
    const required = 'name: This field is required. definition: This field is required.';
    const keys = "definition: Definition must contain 'name', 'description', and 'parameters' keys.";
    for (const [method, request, expected] of [
      ['CreateTool', { tool: { name: 'b', definition: definition('b') } }, taken],
      ['CreateTool', {}, invalid(required)],
      ['CreateTool', { tool: { name: 'c', definition: {} } }, invalid(keys)],
      ['UpdateTool', { tool: { id, name: 'b' } }, taken],
      ['UpdateTool', { tool: { id, toolType: 'mcp', etag: '"9"' } }, CHANGED],
      ['DeleteTool', { id, etag: '"9"' }, CHANGED],
    ] as const) {
      expect(await user.call(method, request)).toMatchObject(expected);
    }
  });

  test.each([
    ['GetTool', (id: string) => ({ id })],
    ['UpdateTool', (id: string) => ({ tool: { id, name: '' }, updateMask: 'name' })],
    ['DeleteTool', (id: string) => ({ id })],
  ])("%s finds neither another's tool, nor an unknown one, nor one of no UUID", async (method, request) => {
    using user = newUser(protocol);
    const another = await user.call(method, request(await addTool(makeToken(), 'foreign')));
    expect(another).toMatchObject(NOT_FOUND);
    for (const id of [randomUUID(), 'x', '']) {
      expect(comparable(await user.call(method, request(id)))).toEqual(comparable(another));
    }
  });

  test('leaves system tools to administrators, and shows their pointers to them alone', async () => {
    using user = newUser(protocol);
    using staff = newUser(protocol, { is_staff: true });
    const id = systemId;
    expect(await user.call('UpdateTool', { tool: { id, name: '' } })).toMatchObject(FORBIDDEN);
    expect(await user.call('DeleteTool', { id })).toMatchObject(FORBIDDEN);
    const builtin = refusal('FAILED_PRECONDITION', 'A built-in system tool cannot be deleted.');
    expect(await staff.call('DeleteTool', { id })).toMatchObject(builtin);
    const pointer = 'tools.standard_tools.weather.get_current_weather';
    const execution = async (caller: typeof user) =>
      ((await caller.call('GetTool', { id })).body.definition as JsonObject).execution;
    expect(await execution(user)).toEqual({ type: 'internal_function' });
    expect(await execution(staff)).toEqual({ type: 'internal_function', pointer });

    const tool = { name: `system ${user.userId}`, definition: definition('x'), isSystemTool: true };
    expect((await user.call('CreateTool', { tool })).body).toMatchObject({ isSystemTool: false });
    const made = await staff.call('CreateTool', { tool });
    expect(made.body).toMatchObject({ isSystemTool: true, ownerId: '' });
    expect(await user.call('GetTool', { id: String(made.body.id) })).toMatchObject({ code: 'OK' });
    expect(await staff.call('DeleteTool', { id: String(made.body.id) })).toMatchObject({ code: 'OK' });
  });
});

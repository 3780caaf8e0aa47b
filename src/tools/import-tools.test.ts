import { monitorEventLoopDelay } from 'node:perf_hooks';
import { describe, expect, it } from 'vitest';
import type { Database } from '../db/database.ts';
import { ServiceError } from '../errors.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { ALICE, BOB, STAFF, testToolsContext } from '../testing/tools-context.ts';
import { getTool } from './access.ts';
import type { ToolsContext } from './context.ts';
import { document31, jsonBody, petstore } from './formats/documents-for-tests.ts';
import { exportTools } from './formats/export-tools.ts';
import { toolFormats } from './formats/format.ts';
import { importTools } from './import-tools.ts';
import { listTools } from './list-tools.ts';
import { openSecrets } from './seal-definition.ts';
import type { Tool } from './tool.ts';
import { findSecrets } from './tool-store.ts';

const parameters = { type: 'object', properties: { q: { type: 'string' } }, required: ['q'] };
const execution = { type: 'webhook', url: 'https://gateway.example/run/{tool_name}' };
const json = (value: unknown) => JSON.parse(JSON.stringify(value)) as JsonValue;
const petstoreJson = json(petstore);

async function definitionsOf(context: ToolsContext): Promise<JsonObject[]> {
  const { tools } = await listTools(context, ALICE, {});
  return tools.map(({ definition }) => JSON.parse(definition) as JsonObject);
}

async function secretsOf(context: ToolsContext, tool: Tool): Promise<object> {
  return openSecrets(context, tool.id, await findSecrets(context.database, tool.id));
}

const statuses = (results: readonly { status: string }[]) => results.map(({ status }) => status);

describe('functions', () => {
  const described = { name: 'a.b', description: 'Does a.' };
  it.each([
    ['OpenAI, Chat Completions', [{ type: 'function', function: { ...described, parameters } }]],
    ['OpenAI, Responses', [{ type: 'function', ...described, parameters, strict: true }]],
    ['bare functions', [{ ...described, parameters }]],
    ['one function', { ...described, parameters }],
    ['Anthropic', [{ ...described, input_schema: parameters }]],
    ['Gemini', { functionDeclarations: [{ ...described, parametersJsonSchema: parameters }] }],
    [
      'Gemini, in its own dialect',
      [
        {
          function_declarations: [
            {
              ...described,
              parameters: { type: 'OBJECT', properties: { q: { type: 'STRING' } }, required: ['q'] },
            },
          ],
        },
      ],
    ],
  ])('of %s become tools', async (_, document) => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    const results = await importTools(context, ALICE, json(document), { execution });
    expect(results).toMatchObject([{ name: 'a.b', status: 'created', errors: [], notes: [] }]);
    expect(await definitionsOf(context)).toEqual([
      { ...described, parameters, execution: { ...execution, url: 'https://gateway.example/run/a.b' } },
    ]);
  });

  it.each([
    (tools: object) => ({ tools }),
    (tools: object) => ({ jsonrpc: '2.0', id: 1, result: { tools } }),
  ])('of MCP become tools with their annotations and output schema (%#)', async (wrap) => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    const outputSchema = { type: 'object', properties: { n: { type: 'integer' } } };
    const annotations = { title: 'A', readOnlyHint: true, openWorldHint: false, destructiveHint: 'no' };
    const tool = { name: 'a/b ü', title: 'A', inputSchema: parameters, outputSchema, annotations };
    const document = json(wrap([tool]));
    const [result] = await importTools(context, ALICE, document, { execution });
    const stored = await getTool(context, ALICE, result?.id ?? '');
    expect(stored.toolType).toBe('mcp');
    expect(JSON.parse(stored.definition)).toEqual({
      name: 'a/b ü',
      description: 'A',
      parameters,
      output_schema: outputSchema,
      annotations: { read_only: true, open_world: false },
      execution: { type: 'webhook', url: 'https://gateway.example/run/a%2Fb%20%C3%BC' },
    });
    const [exported] = await exportTools(context, ALICE.userId, [stored], 'mcp');
    expect(exported).toMatchObject({
      inputSchema: parameters,
      outputSchema,
      annotations: { readOnlyHint: true, openWorldHint: false },
    });
  });

  it('run as they say themselves, else as the import says, else not at all', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    const own = { type: 'webhook', url: 'https://own.example/' };
    const document = json([
      { name: 'a', description: '', parameters, execution: own },
      { name: 'b', parameters },
    ]);
    expect(await importTools(context, ALICE, document)).toMatchObject([
      { name: 'a', status: 'created' },
      { name: 'b', id: null, status: 'refused', errors: [expect.stringContaining("give 'execution'")] },
    ]);
    await importTools(context, ALICE, document, { execution });
    expect((await definitionsOf(context)).map((definition) => definition.execution)).toEqual([
      own,
      { type: 'webhook', url: 'https://gateway.example/run/b' },
    ]);
  });

  it('that are none, or are refused, do not touch the others', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database, { checkUrl: () => undefined });
    const document = json([
      3,
      {},
      { type: 'web_search', name: 'search', description: '' },
      { name: 'bad', parameters: { type: 'string' } },
      { name: ' ok ', parameters },
      { name: 'ok', parameters },
      { name: '', parameters },
      { name: '..', parameters },
    ]);
    const results = await importTools(context, ALICE, document, { execution });
    expect(results.map(({ name, errors }) => [name, errors[0]])).toEqual([
      ['', 'A tool must be an object, not number.'],
      ['', "It has no 'name'."],
      ['search', 'A tool of type "web_search" is no function.'],
      ['bad', expect.stringContaining('/type: must be "object".')],
      ['ok', undefined],
      ['ok', 'The document has another tool of this name before it.'],
      ['', 'This field may not be blank.'],
      ['..', 'Its name cannot stand in a URL.'],
    ]);
  });

  it.each(toolFormats)('given out for %s come back as they were', async (format) => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    await importTools(context, ALICE, json([{ name: 'a.b', description: 'A.', parameters }]), { execution });
    const { tools } = await listTools(context, ALICE, {});
    const given = json(await exportTools(context, ALICE.userId, tools, format));
    expect(JSON.stringify(given)).not.toContain('gateway');
    const [result] = await importTools(context, BOB, given, { execution });
    const copy = await getTool(context, BOB, result?.id ?? '');
    expect(JSON.parse(copy.definition)).toMatchObject({ name: 'a_b', description: 'A.', parameters });
  });
});

describe('an import', () => {
  it('can be repeated: what is the same stays, what differs is changed', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    const serverUrl = 'https://pets.example';
    const first = await importTools(context, ALICE, petstoreJson);
    const made = ['created', 'created', 'created', 'created', 'created', 'created', 'refused'];
    expect(statuses(first)).toEqual(made);
    const second = await importTools(context, ALICE, petstoreJson);
    expect(statuses(second)).toEqual(made.map((status) => (status === 'created' ? 'unchanged' : status)));
    expect(second.map(({ id }) => id)).toEqual(first.map(({ id }) => id));
    const third = await importTools(context, ALICE, petstoreJson, { serverUrl });
    expect(statuses(third)).toEqual(made.map((status) => (status === 'created' ? 'updated' : status)));
    const tool = await getTool(context, ALICE, first[0]?.id ?? '');
    expect(tool.revision).toBe(2);
    expect((await listTools(context, ALICE, {})).tools).toHaveLength(6);
    expect(statuses(await importTools(context, BOB, petstoreJson))).toEqual(made);
  });

  it('says where a credential is missing, stores what is given, and keeps what is stored', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    const note = 'Made without authentication: \'credentials\' has no value for "api_key".';
    const importPets = async (value?: string, serverUrl?: string) => {
      const credentials = value === undefined ? {} : { api_key: { value } };
      const [result] = await importTools(context, ALICE, petstoreJson, { credentials, serverUrl });
      if (!result) throw new Error('there is no result');
      return result;
    };
    expect(await importPets()).toMatchObject({ status: 'created', notes: [note, expect.any(String)] });
    const { id, ...given } = await importPets('one');
    expect(given).toMatchObject({ status: 'updated', notes: [expect.any(String)] });
    const stored = async () => secretsOf(context, await getTool(context, ALICE, id ?? ''));
    expect(await stored()).toEqual({ '/execution/authentication/value': 'one' });
    expect((await getTool(context, ALICE, id ?? '')).definition).not.toContain('one"');

    expect(await importPets()).toMatchObject({ status: 'unchanged', notes: [expect.any(String)] });
    expect(await importPets('one')).toMatchObject({ status: 'unchanged' });
    expect(await importPets('two')).toMatchObject({ status: 'updated' });
    expect(await stored()).toEqual({ '/execution/authentication/value': 'two' });
    // A stored secret is never sent elsewhere, whatever a document says.
    expect(await importPets(undefined, 'https://evil.example')).toMatchObject({
      status: 'refused',
      errors: [expect.stringContaining('not sent to another origin')],
    });
    expect(await stored()).toEqual({ '/execution/authentication/value': 'two' });
  });

  it('makes system tools for administrators alone', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    const document = json([{ name: 'a', parameters }]);
    const options = { execution, isSystem: true };
    const [made] = await importTools(context, STAFF, document, options);
    expect((await getTool(context, BOB, made?.id ?? '')).ownerId).toBeNull();
    expect(statuses(await importTools(context, STAFF, document, options))).toEqual(['unchanged']);
    const [own] = await importTools(context, ALICE, document, options);
    expect((await getTool(context, ALICE, own?.id ?? '')).ownerId).toBe(ALICE.userId);
  });

  it('stops at what a user may own', async () => {
    await using database = await openTestDatabase();
    const limits = { toolsPerUser: 1, definitionBytes: 10_000, answerBytes: 1 };
    const context = testToolsContext(database, { limits });
    const results = await importTools(
      context,
      ALICE,
      json([
        { name: 'a', parameters },
        { name: 'b', parameters },
      ]),
      {
        execution,
      },
    );
    expect(statuses(results)).toEqual(['created', 'refused']);
    expect(results[1]?.errors[0]).toContain('MAX_TOOLS_PER_USER');
  });

  it.each([
    undefined,
    null,
    'openapi',
    {},
    { tools: {} },
    { openapi: '2.0' },
    { swagger: '2.0' },
    { paths: {} },
    { tools: Array(1001).fill({}) },
    document31({}, { 'x-all': Object.fromEntries(Array.from({ length: 3001 }, (_, index) => [index, 1])) }),
    document31(Object.fromEntries(Array.from({ length: 1001 }, (_, index) => [`/${index}`, { get: {} }]))),
  ])('of a document that is none, or has too many tools, is refused (%#)', async (document) => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    const given = document === undefined ? undefined : json(document);
    await expect(importTools(context, ALICE, given, { execution })).rejects.toMatchObject({
      code: 'invalid_argument',
      fields: { document: [expect.stringMatching(/Takes|taken|1000|3000|convert/)] },
    });
  });

  it.each(['unavailable', 'permission_denied'] as const)(
    'end where one is %s, and can be repeated',
    async (code) => {
      await using database = await openTestDatabase();
      let changes = 0;
      const failing: Database = {
        ...database,
        transaction: async (work, options) => {
          if (++changes > 2) throw new ServiceError(code, 'Not now.');
          return database.transaction(work, options);
        },
      };
      const document = json(['a', 'b', 'c', 'd'].map((name) => ({ name, description: 'Does.', parameters })));
      const failed = importTools(testToolsContext(failing), ALICE, document, { execution });
      await expect(failed).rejects.toMatchObject({ code });
      expect(changes).toBe(3);
      const results = await importTools(testToolsContext(database), ALICE, document, { execution });
      expect(statuses(results)).toEqual(['unchanged', 'unchanged', 'created', 'created']);
    },
  );

  it('end when the caller is gone', async () => {
    await using database = await openTestDatabase();
    const gone = new AbortController();
    const leaving: Database = {
      ...database,
      transaction: async (work, options) => {
        gone.abort();
        return database.transaction(work, options);
      },
    };
    const document = json(['a', 'b'].map((name) => ({ name, description: 'Does.', parameters })));
    const { signal } = gone;
    const canceled = importTools(testToolsContext(leaving), ALICE, document, { execution, signal });
    await expect(canceled).rejects.toMatchObject({ code: 'canceled' });
    expect(await definitionsOf(testToolsContext(database))).toMatchObject([{ name: 'a' }]);
  });

  it('of a hostile document leaves the event loop to others', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    const schemas = Object.fromEntries(
      Array.from({ length: 200 }, (_, index) => [
        `S${index}`,
        {
          description: 'x'.repeat(200),
          type: 'object',
          properties: Object.fromEntries(
            Array.from({ length: 10 }, (_, other) => [
              `p${other}`,
              { $ref: `#/components/schemas/S${(index * 7 + other) % 200}` },
            ]),
          ),
        },
      ]),
    );
    const operation = { post: { requestBody: jsonBody({ $ref: '#/components/schemas/S0' }) } };
    const paths = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`/${index}`, operation]));
    const document = json(document31(paths, { components: { schemas } }));
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const results = await importTools(context, ALICE, document);
    delay.disable();
    expect(results).toHaveLength(40);
    // In nanoseconds. The limit is far above what is usual, for machines that are busy with other tests.
    expect(delay.percentile(50)).toBeLessThan(100e6);
  });
});

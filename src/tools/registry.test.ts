import { describe, expect, it } from 'vitest';
import type { Database } from '../db/database.ts';
import { isMissing } from '../testing/services.ts';
import { type Engine, openTestDatabase } from '../testing/test-database.ts';
import { ALICE, BOB, STAFF, testToolsContext, webhookInput } from '../testing/tools-context.ts';
import { getTool } from './access.ts';
import { createTool } from './create-tool.ts';
import { deleteTool } from './delete-tool.ts';
import { importTools } from './import-tools.ts';
import { installBuiltinTools } from './install-builtin-tools.ts';
import { listTools } from './list-tools.ts';
import { openSecrets } from './seal-definition.ts';
import { definitionText, modelDefinition } from './tool.ts';
import { findSecrets } from './tool-store.ts';
import { updateTool } from './update-tool.ts';
import { getTools, validateTools } from './validate-tools.ts';

const merge = { mode: 'merge', expected: undefined } as const;
const outbox = async ({ read, tables }: Database) =>
  (await read.select().from(tables.outbox).orderBy(tables.outbox.sequence)).map(
    ({ type, payload, publishedAt }) => ({
      type,
      payload,
      publishedAt,
    }),
  );

const engines: Engine[] = (await isMissing('postgres')) ? ['sqlite'] : ['sqlite', 'postgres'];

describe('the registry', () => {
  it('announces each change that is made, in its order, and none that is refused', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    const tool = await createTool(context, ALICE, webhookInput('one'));
    const [payload, publishedAt] = [JSON.stringify({ tool_id: tool.id }), null];
    const announced = [{ type: 'tool.created', payload, publishedAt }];
    expect(await outbox(database)).toEqual(announced);

    await expect(createTool(context, ALICE, webhookInput('one'))).rejects.toMatchObject({
      code: 'already_exists',
    });
    for (const refused of [
      deleteTool(context, BOB, tool.id, undefined),
      updateTool(context, BOB, tool.id, { name: 'two' }, merge),
    ]) {
      await expect(refused).rejects.toMatchObject({ code: 'not_found' });
    }
    const stale = { mode: 'merge', expected: ['"7"'] } as const;
    await expect(updateTool(context, ALICE, tool.id, { name: 'two' }, stale)).rejects.toMatchObject({
      code: 'aborted',
    });
    expect(await outbox(database)).toEqual(announced);

    await updateTool(context, ALICE, tool.id, { name: 'two' }, merge);
    await deleteTool(context, ALICE, tool.id, undefined);
    announced.push(
      { type: 'tool.updated', payload, publishedAt },
      { type: 'tool.deleted', payload, publishedAt },
    );
    expect(await outbox(database)).toEqual(announced);
    await expect(getTool(context, ALICE, tool.id)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('announces what an import changes, and nothing of what it leaves as it is', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    const execution = { type: 'webhook', url: 'https://tools.example/hook' };
    const document = (description: string) => [{ name: 'one', description, parameters: { type: 'object' } }];
    const types = async () => (await outbox(database)).map(({ type }) => type);
    for (const description of ['Does one.', 'Does one.', 'Does two.']) {
      await importTools(context, ALICE, document(description), { execution });
    }
    expect(await types()).toEqual(['tool.created', 'tool.updated']);
  });

  it.each(engines)('keeps to the limit of tools on %s, in however many requests at once', async (engine) => {
    await using database = await openTestDatabase(engine);
    const limits = { toolsPerUser: 2, definitionBytes: 65_536, answerBytes: 1_000_000 };
    const context = testToolsContext(database, { limits });
    const create = (caller: typeof ALICE, name: string) => createTool(context, caller, webhookInput(name));
    const outcomes = await Promise.allSettled(
      Array.from('abcdefgh', (name) => [create(ALICE, name), create(BOB, name)]).flat(),
    );
    for (const caller of [ALICE, BOB]) {
      expect((await listTools(context, caller, {})).tools).toHaveLength(2);
    }
    const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
    expect(refused.map(({ code }) => code)).toEqual(Array(12).fill('invalid_argument'));
    expect(await outbox(database)).toHaveLength(4);
  });

  it('makes every change of many at once, and lets one of two of the same revision win', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    const { id } = await createTool(context, ALICE, webhookInput('one'));
    await Promise.all([
      updateTool(context, ALICE, id, { name: 'two' }, merge),
      updateTool(context, ALICE, id, { tool_type: 'mcp' }, merge),
    ]);
    expect(await getTool(context, ALICE, id)).toMatchObject({ name: 'two', toolType: 'mcp', revision: 3 });

    const expected = ['"3"'];
    const outcomes = await Promise.allSettled(
      ['three', 'four'].map((name) => updateTool(context, ALICE, id, { name }, { mode: 'merge', expected })),
    );
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'aborted' },
    });
  });

  it('lets one of two creations of a name win', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    const outcomes = await Promise.allSettled(
      [1, 2].map(() => createTool(context, ALICE, webhookInput('one'))),
    );
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'already_exists' },
    });
    expect((await listTools(context, ALICE, {})).tools).toHaveLength(1);
    await expect(createTool(context, BOB, webhookInput('one'))).resolves.toMatchObject({ name: 'one' });
  });

  it('keeps a masked secret through a change, encrypted, and for its own origin only', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    const bearer = (token: string, url = 'https://tools.example/hook') =>
      webhookInput('one', { url, authentication: { type: 'bearer', token } });
    const tool = await createTool(context, ALICE, bearer('the-real-secret'));
    expect(tool.definition).not.toContain('the-real-secret');

    await updateTool(context, ALICE, tool.id, bearer('********', 'https://tools.example/other'), merge);
    const stored = await findSecrets(database, tool.id);
    expect(stored).not.toContain('the-real-secret');
    expect(openSecrets(context, tool.id, stored)).toEqual({
      '/execution/authentication/token': 'the-real-secret',
    });

    const elsewhere = updateTool(
      context,
      ALICE,
      tool.id,
      bearer('********', 'https://evil.example/hook'),
      merge,
    );
    await expect(elsewhere).rejects.toMatchObject({ code: 'invalid_argument' });
    await updateTool(context, ALICE, tool.id, webhookInput('one'), merge);
    expect(await findSecrets(database, tool.id)).toBeNull();
    await expect(createTool(context, BOB, bearer('********'))).rejects.toMatchObject({
      code: 'invalid_argument',
    });
  });

  it('keeps a masked secret for the same token endpoint only', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    const client = (secret: string, tokenUrl: string, url = 'https://tools.example/hook') =>
      webhookInput('one', {
        url,
        authentication: {
          type: 'oauth2_client_credentials',
          token_url: tokenUrl,
          client_id: 'me',
          client_secret: secret,
        },
      });
    const { id } = await createTool(context, ALICE, client('the-real-secret', 'https://auth.example/token'));
    const update = (input: object) => updateTool(context, ALICE, id, input, merge);
    const moved = (key: string) => ({
      fields: {
        definition: [
          `Authentication 'client_secret': a stored secret is not sent to another origin: give the secret with the new '${key}'.`,
        ],
      },
    });
    await expect(update(client('********', 'https://evil.example/token'))).rejects.toMatchObject(
      moved('token_url'),
    );
    await expect(
      update(client('********', 'https://auth.example/token', 'https://evil.example/hook')),
    ).rejects.toMatchObject(moved('url'));
    const tool = await update(client('********', 'https://auth.example/other'));
    expect(tool.definition).not.toContain('the-real-secret');
    expect(openSecrets(context, id, await findSecrets(database, id))).toEqual({
      '/execution/authentication/client_secret': 'the-real-secret',
    });
  });

  it('keeps no secret of one type of credential for another', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    const basic = { type: 'basic', username: 'me', password: 'the-real-secret' };
    const { id } = await createTool(context, ALICE, webhookInput('one', { authentication: basic }));
    const others = [
      { type: 'bearer', token: '********' },
      { type: 'api_key', in: 'query', name: 'key', value: '********' },
      { type: 'standard_webhooks', secret: '********' },
    ];
    for (const authentication of others) {
      await expect(
        updateTool(context, ALICE, id, webhookInput('one', { authentication }), merge),
      ).rejects.toMatchObject({ code: 'invalid_argument' });
    }
  });

  it('shows hidden parameters to who may change them, and to no model', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    const withHidden = (name: string) => {
      const input = webhookInput(name);
      return { ...input, definition: { ...input.definition, hidden: { tenant: { value: 'acme' } } } };
    };
    const own = await createTool(context, ALICE, withHidden('own'));
    const system = await createTool(context, STAFF, { ...withHidden('system'), is_system_tool: true });
    for (const tool of [own, system]) {
      expect(definitionText(tool, { showPointer: true })).toContain('"hidden":{"tenant":{"value":"acme"}}');
      const { hidden, ...shown } = withHidden(tool.name).definition;
      expect(modelDefinition(tool)).toEqual(shown);
    }
    expect(definitionText(own, { showPointer: false })).toBe(own.definition);
    expect(definitionText(system, { showPointer: false })).toBe(
      JSON.stringify(webhookInput('system').definition),
    );
  });

  it('gives out own and system tools alone', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    const mine = await createTool(context, ALICE, webhookInput('mine'));
    const theirs = await createTool(context, BOB, webhookInput('theirs'));
    const system = await createTool(context, STAFF, { ...webhookInput('system'), is_system_tool: true });
    const ids = [mine.id, system.id, mine.id];
    await validateTools(context, ALICE.userId, ids);
    expect((await getTools(context, ALICE.userId, ids)).map(({ id }) => id)).toEqual(ids);
    await expect(validateTools(context, ALICE.userId, [theirs.id])).rejects.toMatchObject({
      code: 'permission_denied',
    });
    await expect(getTools(context, ALICE.userId, [theirs.id])).rejects.toMatchObject({ code: 'not_found' });
    await expect(validateTools(context, null, [mine.id])).rejects.toMatchObject({
      code: 'permission_denied',
    });
  });
});

describe('installBuiltinTools', () => {
  const builtin = {
    pointer: 'test.function',
    name: 'built_in',
    toolType: 'standard',
    description: 'Comes with the service.',
    parameters: { type: 'object' },
  } as const;

  it('installs once and leaves what an administrator changed', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    expect(await installBuiltinTools(context, [builtin])).toEqual([]);
    const [tool] = (await listTools(context, STAFF, {})).tools;
    await updateTool(context, STAFF, tool?.id ?? '', { name: 'renamed' }, merge);
    await installBuiltinTools(context, [builtin]);
    const { tools } = await listTools(context, STAFF, {});
    expect(tools.map(({ name, pointer }) => [name, pointer])).toEqual([['renamed', 'test.function']]);
    expect(tools[0]?.definition).not.toContain('test.function');
  });

  it('says which names are taken', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    await createTool(context, STAFF, { ...webhookInput('built_in'), is_system_tool: true });
    expect(await installBuiltinTools(context, [builtin])).toEqual(['built_in']);
  });
});

describe('listTools', () => {
  it('goes through every page in byte order, system tools first', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    const names = ['b', 'a', 'B', 'é', '天', '😀', 'z_1', 'z-1', '\uFFFD'];
    for (const name of names) await createTool(context, ALICE, webhookInput(name));
    await createTool(context, STAFF, { ...webhookInput('zz'), is_system_tool: true });
    const inBytes = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    for (const limit of [1, 2, 3, 10, 1000]) {
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await listTools(context, ALICE, { limit, cursor });
        seen.push(...page.tools.map(({ name }) => name));
        cursor = page.nextCursor;
      } while (cursor !== undefined);
      expect(seen).toEqual(['zz', ...inBytes]);
    }
  });

  it('filters by every word, in any case and in name or description', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    for (const name of ['Send_Mail', 'read_mail', 'send_fax'])
      await createTool(context, ALICE, webhookInput(name));
    const search = async (text: string) =>
      (await listTools(context, ALICE, { search: text })).tools.map(({ name }) => name);
    expect(await search('SEND mail')).toEqual(['Send_Mail']);
    expect(await search('does')).toEqual(['Send_Mail', 'read_mail', 'send_fax']);
    expect(await search(' ')).toHaveLength(3);
    expect(await search('%')).toEqual([]);
  });

  it('ends a page before it grows past what can be held', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database, {
      limits: { toolsPerUser: 100, definitionBytes: 4_000_000, answerBytes: 1_000_000 },
    });
    for (const name of ['a', 'b', 'c', 'd']) {
      const input = webhookInput(name);
      input.definition.description = 'x'.repeat(1_500_000);
      await createTool(context, ALICE, input);
    }
    const page = await listTools(context, ALICE, {});
    expect(page.tools.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
    expect(
      (await listTools(context, ALICE, { cursor: page.nextCursor })).tools.map(({ name }) => name),
    ).toEqual(['d']);
  });
});

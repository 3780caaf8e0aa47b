import { describe, expect, it } from 'vitest';
import type { Database } from '../../db/database.ts';
import { openTestDatabase } from '../../testing/test-database.ts';
import { ALICE, STAFF, testToolsContext } from '../../testing/tools-context.ts';
import { markDeleted } from '../../users/deleted-users-store.ts';
import type { ToolsContext } from '../context.ts';
import { deleteTool } from '../delete-tool.ts';
import { installBuiltinTools } from '../install-builtin-tools.ts';
import { openSecrets } from '../seal-definition.ts';
import { findSecrets, findTool } from '../tool-store.ts';
import { updateTool } from '../update-tool.ts';
import { idOf, makeDjango, OWNER, type RowValues, row, webhookDefinition } from './django-for-tests.ts';
import { openDjango } from './django-store.ts';
import { importRows, type RowOutcome } from './import-rows.ts';

const builtin = {
  pointer: 'test.function',
  name: 'get_current_weather',
  toolType: 'standard' as const,
  description: 'The weather.',
  parameters: { type: 'object' },
};
const builtinRow = row(9, {
  name: builtin.name,
  is_system_tool: 1,
  owner_id: null,
  definition: JSON.stringify({
    ...webhookDefinition(builtin.name),
    description: 'As it was.',
    execution: { type: 'internal_function', pointer: builtin.pointer },
  }),
});

async function importFile(context: ToolsContext, file: string, dryRun = false): Promise<RowOutcome[]> {
  using source = openDjango(file);
  const outcomes: RowOutcome[] = [];
  for await (const outcome of importRows(context, source.rows(), { builtins: [builtin], dryRun })) {
    outcomes.push(outcome);
  }
  return outcomes;
}

const statusesOf = (outcomes: readonly RowOutcome[]) => outcomes.map(({ status }) => status);

async function eventsOf({ read, tables }: Database) {
  const { sequence, type, subject } = tables.outbox;
  const rows = await read.select({ type, subject }).from(tables.outbox).orderBy(sequence);
  return rows.map((event) => `${event.type} ${event.subject}`);
}

const later = { updated_at: '2024-06-01 00:00:00.000001' };

describe('moving in', () => {
  it('brings tools over as they are, each with its event, and nothing twice', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    const token = 'a-bearer-token-of-old';
    const name = 'größe π';
    using old = makeDjango([
      row(1, {
        name,
        tool_type: 'mcp',
        definition: JSON.stringify(webhookDefinition(name, { authentication: { type: 'bearer', token } })),
      }),
      row(2, { name: 'shared', is_system_tool: 1 }),
    ]);

    expect(statusesOf(await importFile(context, old.file))).toEqual(['created', 'created']);

    const tool = await findTool(database, idOf(1), OWNER);
    expect(tool).toMatchObject({ id: idOf(1), name, toolType: 'mcp', ownerId: OWNER });
    expect(tool?.createdAt.toISOString()).toBe('2024-05-01T12:34:56.789Z');
    expect(tool?.updatedAt.toISOString()).toBe('2024-05-02T08:00:00.000Z');
    expect(JSON.parse(tool?.definition ?? '')).toEqual(
      webhookDefinition(name, { authentication: { type: 'bearer', token: '********' } }),
    );
    const sealed = await findSecrets(database, idOf(1));
    expect(sealed).not.toContain(token);
    expect(openSecrets(context, idOf(1), sealed)).toEqual({ '/execution/authentication/token': token });
    expect(await findTool(database, idOf(2), null)).toMatchObject({ ownerId: null, name: 'shared' });
    const { id, alias, description } = database.tables.tools;
    expect(await database.read.select({ id, alias, description }).from(database.tables.tools)).toContainEqual(
      {
        id: idOf(1),
        alias: 'gr__e__',
        description: `Does ${name}.`,
      },
    );

    expect(statusesOf(await importFile(context, old.file))).toEqual(['unchanged', 'unchanged']);
    expect(await eventsOf(database)).toEqual([`tool.created ${idOf(1)}`, `tool.created ${idOf(2)}`]);
  });

  it('brings what became newer, unless it was changed or deleted here', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    using old = makeDjango([row(1), row(2), row(3), row(4)]);
    await importFile(context, old.file);
    const input = { definition: { ...webhookDefinition('tool_2'), description: 'Changed here.' } };
    await updateTool(context, ALICE, idOf(2), input, { mode: 'merge', expected: undefined });
    await deleteTool(context, ALICE, idOf(3), undefined);
    for (const number of [1, 2, 3]) old.put(row(number, { ...later, name: `newer_${number}` }));

    const outcomes = await importFile(context, old.file);
    expect(outcomes.map(({ status, row: { name } }) => `${name} ${status}`).sort()).toEqual([
      'newer_1 updated',
      'newer_2 kept',
      'newer_3 kept',
      'tool_4 unchanged',
    ]);
    expect(await findTool(database, idOf(1), OWNER)).toMatchObject({
      name: 'newer_1',
      revision: 2,
      updatedAt: new Date('2024-06-01T00:00:00.000Z'),
    });
    expect(await findTool(database, idOf(2), OWNER)).toMatchObject({ name: 'tool_2', revision: 2 });
    expect(await findTool(database, idOf(3), OWNER)).toBeUndefined();
    expect((await eventsOf(database)).filter((event) => event.startsWith('tool.updated'))).toContain(
      `tool.updated ${idOf(1)}`,
    );

    const again = await importFile(context, old.file);
    expect(statusesOf(again).sort()).toEqual(['kept', 'kept', 'unchanged', 'unchanged']);
    // The import's own change is none that was made here.
    old.put(row(1, { updated_at: '2024-07-01 00:00:00' }));
    expect(statusesOf(await importFile(context, old.file))).toContain('updated');
  });

  it('leaves behind what cannot be a tool here, and says why', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database, {
      checkUrl: (url) => (url.includes('10.0.0.1') ? 'a private address' : undefined),
      limits: { toolsPerUser: 3, definitionBytes: 65_536, answerBytes: 1_000_000 },
    });
    const definition = (value: unknown): RowValues => ({ definition: JSON.stringify(value) });
    const { execution, ...inert } = webhookDefinition('inert');
    const webhook = webhookDefinition('webhook');
    using old = makeDjango([
      row(1, { name: 'taken' }),
      row(2, { name: ' taken ' }),
      row(3, { definition: '{' }),
      row(4, definition(inert)),
      row(5, definition({ ...webhook, parameters: { type: 'object', properties: { a: { type: 'what' } } } })),
      row(6, definition(webhookDefinition('private', { url: 'http://10.0.0.1/' }))),
      row(7, { name: ' ' }),
      row(8, { name: 'n'.repeat(256) }),
      row(10, { id: 'no uuid' }),
      row(11, {
        is_system_tool: 1,
        ...definition({ ...webhook, execution: { type: 'internal_function', pointer: 'os.system' } }),
      }),
      row(12, definition({ ...webhook, execution: { type: 'internal_function', pointer: builtin.pointer } })),
      row(13, { tool_type: 'other' }),
      row(14, { owner_id: null }),
      row(15),
      row(16),
      row(17),
    ]);

    const outcomes = await importFile(context, old.file);
    expect(outcomes.map(({ status, remark }) => (remark === '' ? status : remark))).toEqual([
      'created',
      'Another tool of the owner has this name here.',
      "'definition' is not valid JSON.",
      "definition: Definition must contain an 'execution' block.",
      expect.stringContaining('/properties/a/type'),
      "definition: Webhook 'url' is not allowed: a private address",
      'name: This field may not be blank.',
      'name: Ensure this field has no more than 255 characters.',
      "'id' is no UUID.",
      "definition: There is no internal function 'os.system'.",
      "definition: User-defined tools cannot be of type 'internal_function'.",
      'tool_type: "other" is not a valid choice.',
      'It belongs to nobody and is no system tool.',
      'created',
      'created',
      'Its owner has 3 tools, as many as allowed (MAX_TOOLS_PER_USER).',
    ]);
    expect(outcomes[2]?.row).toMatchObject({ definition: '{', usage_count: null });
  });

  it("gives the service's own tool the id that callers hold, before or after its installation", async () => {
    for (const isInstalled of [true, false]) {
      await using database = await openTestDatabase();
      const context = testToolsContext(database);
      if (isInstalled) await installBuiltinTools(context, [builtin]);
      const [installed] = await database.read.select().from(database.tables.tools);
      if (installed) {
        const secret = { type: 'bearer', token: 'set-by-an-administrator' };
        const input = { definition: webhookDefinition('x', { authentication: secret }) };
        await updateTool(context, STAFF, installed.id, input, { mode: 'merge', expected: undefined });
      }
      using old = makeDjango([builtinRow, row(10, { ...builtinRow, id: idOf(10), name: 'another' })]);

      expect(statusesOf(await importFile(context, old.file))).toEqual(['created', 'created']);
      const tool = await findTool(database, idOf(9), null);
      expect(tool).toMatchObject({ builtin: builtin.pointer, name: builtin.name });
      expect(tool?.createdAt.toISOString()).toBe('2024-05-01T12:34:56.789Z');
      const secrets = openSecrets(context, idOf(9), await findSecrets(database, idOf(9)));
      expect(Object.values(secrets)).toEqual(installed ? ['set-by-an-administrator'] : []);
      // Another tool of the same function is an ordinary system tool.
      expect(await findTool(database, idOf(10), null)).toMatchObject({
        builtin: null,
        pointer: builtin.pointer,
      });

      expect(statusesOf(await importFile(context, old.file))).toEqual(['unchanged', 'unchanged']);
      expect(await installBuiltinTools(context, [builtin])).toEqual([]);
      expect(await database.read.select().from(database.tables.tools)).toHaveLength(2);
      const events = await eventsOf(database);
      expect(events).toContain(`tool.created ${idOf(9)}`);
      if (installed) expect(events).toContain(`tool.deleted ${installed.id}`);
    }
  });

  it('does not bring the tools of deleted users, nor touch a tool that has the id already', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    using other = makeDjango([row(1)]);
    await importFile(context, other.file);
    await database.transaction(async (transaction) => {
      await markDeleted(database, transaction, OWNER, 1);
    });
    using old = makeDjango([row(1, later), row(2), row(3, { is_system_tool: 1 })]);
    expect(statusesOf(await importFile(context, old.file))).toEqual(['skipped', 'skipped', 'created']);
    expect(await findTool(database, idOf(1), OWNER)).toMatchObject({ revision: 1 });
  });

  it('changes nothing in a dry run, and says what it would do, over several transactions', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database, {
      limits: { toolsPerUser: 1000, definitionBytes: 65_536, answerBytes: 1_000_000 },
    });
    const rows = Array.from({ length: 120 }, (_, number) => row(number));
    using old = makeDjango([...rows, row(300, { name: 'tool_7' }), builtinRow]);
    const expected = [...rows.map(() => 'created'), 'rejected', 'created'];
    // Row 9 of the tools is the built-in tool's row.
    expected.splice(9, 1);

    expect(statusesOf(await importFile(context, old.file, true)).sort()).toEqual(expected.toSorted());
    expect(await database.read.select().from(database.tables.tools)).toEqual([]);
    expect(await eventsOf(database)).toEqual([]);

    expect(statusesOf(await importFile(context, old.file)).sort()).toEqual(expected.toSorted());
    expect(await database.read.select().from(database.tables.tools)).toHaveLength(120);
  });
});

describe('the database of the old service', () => {
  it('is refused when it is none', () => {
    using old = makeDjango();
    expect(() => openDjango(`${old.file}.no`)).toThrow('is not a database of the old service');
    expect(() => openDjango(import.meta.filename)).toThrow('file is not a database');
  });
});

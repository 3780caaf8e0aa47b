import { describe, expect, it } from 'vitest';
import type { Caller } from '../caller.ts';
import type { Database } from '../db/database.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { hasToolData, readDataLines } from '../testing/tool-data.ts';
import { ALICE, BOB, STAFF, testToolsContext, webhookInput } from '../testing/tools-context.ts';
import { suffixedName } from '../tools/alias.ts';
import { createTool } from '../tools/create-tool.ts';
import { exportTools } from '../tools/formats/export-tools.ts';
import { type ToolFormat, toolFormats } from '../tools/formats/format.ts';
import { listTools } from '../tools/list-tools.ts';
import type { Tool } from '../tools/tool.ts';
import { updateTool } from '../tools/update-tool.ts';
import { resolveTools } from './resolve-tools.ts';

const system = { is_system_tool: true };

async function createAll(
  database: Database,
  caller: Caller,
  names: readonly string[],
  more: object = {},
): Promise<Tool[]> {
  const context = testToolsContext(database, {
    limits: { toolsPerUser: 100_000, definitionBytes: 65_536, answerBytes: 1 },
  });
  const tools: Tool[] = [];
  for (const name of names) tools.push(await createTool(context, caller, { ...webhookInput(name), ...more }));
  return tools;
}

/** The names under which all that a caller may use is given out, by the tools' ids. */
async function exported(
  database: Database,
  caller: Caller,
  format: ToolFormat,
): Promise<Map<string, string>> {
  const { tools } = await listTools({ database }, caller, {});
  const given = await exportTools({ database }, caller.userId, tools, format);
  const nameOf = (tool: Record<string, unknown>) =>
    String(format === 'openai' ? (tool.function as { name: string }).name : tool.name);
  return new Map(tools.map(({ id }, index) => [id, nameOf(given[index] ?? {})]));
}

/** Exports in every format, and checks that each name is allowed, is given out once, and finds its tool. */
async function expectRoundTrip(database: Database, caller: Caller): Promise<void> {
  for (const format of toolFormats) {
    const names = await exported(database, caller, format);
    for (const name of names.values()) {
      expect(name).toMatch(format === 'gemini' ? /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/ : /^[A-Za-z0-9_-]{1,64}$/);
    }
    expect(new Set(names.values()).size).toBe(names.size);
    const found = await resolveTools({ database }, caller, [...names.values()]);
    expect(new Map([...names].map(([id, name]) => [id, found.get(name)?.id]))).toEqual(
      new Map([...names.keys()].map((id) => [id, id])),
    );
  }
}

describe('a name that was given out', () => {
  it.each([
    [['math.hypot'], ['math_hypot']],
    [
      ['a b', 'é', '\u{1F600}x'],
      ['a_b', '_', '_x'],
    ],
    [['x'.repeat(65)], ['x'.repeat(64)]],
    [
      ['ok', 'OK-1_'],
      ['ok', 'OK-1_'],
    ],
  ])('is made of %j', async (names, expected) => {
    await using database = await openTestDatabase();
    const tools = await createAll(database, ALICE, names);
    const given = await exported(database, ALICE, 'anthropic');
    expect(tools.map(({ id }) => given.get(id))).toEqual(expected);
    await expectRoundTrip(database, ALICE);
  });

  it('is unique, whatever the tools are called', async () => {
    await using database = await openTestDatabase();
    const long = 'x'.repeat(70);
    const own = ['a.b', 'a:b', 'c.d', 'c_d', '1.5', '1_5', '.1', '1', '_1', '-', long, `${long}.`];
    const digits = ['9'.repeat(64), `${'9'.repeat(64)}.`, '7'.repeat(63), '7'.repeat(64)];
    await createAll(database, ALICE, [...own, ...digits, '.', '..', 'same', 's.ame']);
    await createAll(database, STAFF, ['same', 's.ame', 'a.b', 'z.z', '1'], system);
    await createAll(database, BOB, ['z:z', 'z_z']);
    await expectRoundTrip(database, ALICE);
    await expectRoundTrip(database, BOB);
    await expectRoundTrip(database, STAFF);
  });

  it('stays plain for the tool whose own name it is, and for no other', async () => {
    await using database = await openTestDatabase();
    const [dotted, plain, first, second, own] = await createAll(database, ALICE, [
      'c.d',
      'c_d',
      'a.b',
      'a:b',
      'same',
    ]);
    const [shadowed] = await createAll(database, STAFF, ['same'], system);
    const given = await exported(database, ALICE, 'mcp');
    const nameOf = (tool: Tool | undefined) => given.get(tool?.id ?? '');
    expect([plain, own].map(nameOf)).toEqual(['c_d', 'same']);
    expect([dotted, first, second, shadowed].map(nameOf)).toEqual([
      suffixedName('c_d', dotted?.id ?? ''),
      suffixedName('a_b', first?.id ?? ''),
      suffixedName('a_b', second?.id ?? ''),
      suffixedName('same', shadowed?.id ?? ''),
    ]);
    const found = await resolveTools({ database }, ALICE, ['a_b', 'c_d', 'same', 'c.d']);
    expect([...found].map(([name, { id }]) => [name, id]).toSorted()).toEqual([
      ['c.d', dotted?.id],
      ['c_d', plain?.id],
      ['same', own?.id],
    ]);
  });

  it('follows a renaming', async () => {
    await using database = await openTestDatabase();
    const [tool] = await createAll(database, ALICE, ['a.b']);
    const rename = (name: string) =>
      updateTool(
        testToolsContext(database),
        ALICE,
        tool?.id ?? '',
        { name },
        { mode: 'merge', expected: undefined },
      );
    const found = async () => [...(await resolveTools({ database }, ALICE, ['a_b', 'c_d', 'e'])).keys()];
    await rename('c.d');
    expect(await found()).toEqual(['c_d']);
    await rename('e');
    expect(await found()).toEqual(['e']);
  });

  it("never finds another user's tool, nor a user's for nobody", async () => {
    await using database = await openTestDatabase();
    const [secret] = await createAll(database, ALICE, ['a.b']);
    await createAll(database, STAFF, ['s.t'], system);
    const names = ['a_b', 's_t', suffixedName('a_b', secret?.id ?? '')];
    const nobody: Caller = { kind: 'trusted-network', userId: null };
    for (const caller of [BOB, nobody]) {
      expect([...(await resolveTools({ database }, caller, names)).keys()]).toEqual(['s_t']);
    }
    // A tool's own name reaches it from a trusted network, as ever.
    expect((await resolveTools({ database }, nobody, ['a.b'])).get('a.b')?.id).toBe(secret?.id);
  });

  it('that was never given out finds nothing', async () => {
    await using database = await openTestDatabase();
    await createAll(database, ALICE, ['a.b']);
    const names = ['a:b', 'a_b_000000', '__proto__', 'constructor', '', '_', 'x'.repeat(10_000), 'a_b\0'];
    expect(await resolveTools({ database }, ALICE, names)).toEqual(new Map());
  });
});

it.runIf(hasToolData)('gives out the tools of a corpus under names that find them', async () => {
  await using database = await openTestDatabase();
  const corpus = readDataLines<{ name: string }>('discovery/corpus.jsonl').map(({ name }) => name);
  const dotted = [...new Set(corpus)].filter((name) => !/^[A-Za-z0-9_-]+$/.test(name)).slice(0, 300);
  expect(dotted.length).toBeGreaterThan(100);
  await createAll(database, ALICE, dotted);
  await expectRoundTrip(database, ALICE);
});

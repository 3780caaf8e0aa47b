import { describe, expect, it } from 'vitest';
import { idOf, OWNER, row, webhookDefinition } from './django-for-tests.ts';
import { readRow, readTime } from './read-row.ts';

const LIMIT = 10_000;

describe('reading a row of the old service', () => {
  it('takes what Django writes', () => {
    expect(readRow(row(1), LIMIT)).toEqual({
      id: idOf(1),
      ownerId: OWNER,
      input: { name: 'tool_1', tool_type: 'standard', definition: webhookDefinition('tool_1') },
      createdAt: Date.UTC(2024, 4, 1, 12, 34, 56, 789),
      updatedAt: Date.UTC(2024, 4, 2, 8),
    });
  });

  it('takes ids with hyphens, in upper case and as bytes, and definitions that were encoded twice', () => {
    const definition = JSON.stringify(JSON.stringify(webhookDefinition('x')));
    const hyphens = readRow(row(1, { id: idOf(1).toUpperCase(), owner_id: OWNER, definition }), LIMIT);
    const bytes = readRow(
      row(1, {
        id: Buffer.from(idOf(1).replaceAll('-', ''), 'hex'),
        definition: Buffer.from(JSON.stringify(webhookDefinition('x'))),
      }),
      LIMIT,
    );
    for (const read of [hyphens, bytes]) {
      expect(read).toMatchObject({ id: idOf(1), ownerId: OWNER, input: { definition: { name: 'x' } } });
    }
  });

  it('takes a system tool whoever made it, and columns that are empty or not there', () => {
    const { is_system_tool, tool_type, created_at, updated_at, ...rest } = row(1, { is_system_tool: 1 });
    expect(readRow({ ...rest, is_system_tool: 'True' }, LIMIT)).toMatchObject({
      ownerId: null,
      input: { name: 'tool_1' },
      createdAt: null,
      updatedAt: null,
    });
    expect(readRow(rest, LIMIT)).toMatchObject({ ownerId: OWNER });
  });

  it.each([
    ["'id' is no UUID.", { id: 'constructor' }],
    ["'id' is no UUID.", { id: null }],
    ["'owner_id' is no UUID.", { owner_id: 17 }],
    ["'is_system_tool' is neither true nor false.", { is_system_tool: 2 }],
    ['It belongs to nobody and is no system tool.', { owner_id: null }],
    ["'definition' is missing.", { definition: null }],
    ["'definition' is not valid JSON.", { definition: '{"a": NaN}' }],
    ["'definition' is not valid JSON.", { definition: '' }],
    ["'definition' is not valid JSON.", { definition: '"no JSON"' }],
    [
      "'definition' has 80001 characters; no more than 10000 bytes are allowed (MAX_DEFINITION_BYTES).",
      { definition: ' '.repeat(80_001) },
    ],
  ])('says %s', (words, values) => {
    expect(readRow(row(1, values), LIMIT)).toBe(words);
  });

  it.each([
    ['2024-05-01 12:34:56.789012', '2024-05-01T12:34:56.789Z'],
    ['2024-05-01 12:34:56.7', '2024-05-01T12:34:56.700Z'],
    ['2024-05-01 12:34:56', '2024-05-01T12:34:56.000Z'],
    ['2024-05-01T12:34:56.789012+00:00', '2024-05-01T12:34:56.789Z'],
    ['2024-05-01 14:34:56+0200', '2024-05-01T12:34:56.000Z'],
    ['2024-05-01 07:04:56-05:30', '2024-05-01T12:34:56.000Z'],
    ['2024-05-01 14:34+02', '2024-05-01T12:34:00.000Z'],
    [' 2024-05-01T12:34:56Z ', '2024-05-01T12:34:56.000Z'],
    ['2024-05-01', '2024-05-01T00:00:00.000Z'],
  ])('reads the time %s', (text, expected) => {
    expect(new Date(readTime(text) ?? Number.NaN).toISOString()).toBe(expected);
  });

  it.each(['', 'yesterday', '2024-13-01 00:00:00', '2024-05-01 25:00:00', null, undefined, 1714567890])(
    'finds no time in %s',
    (value) => expect(readTime(value)).toBeNull(),
  );
});

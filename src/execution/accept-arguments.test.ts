import { describe, expect, it, vi } from 'vitest';
import type { JsonObject } from '../json.ts';
import { acceptArguments } from './accept-arguments.ts';
import { prepareTool } from './prepare-tool.ts';

const scope = { caller: { kind: 'user', userId: 'u', isStaff: false }, requestId: 'r1' } as never;

function prepare(definition: object = {}, execution: object = {}) {
  return prepareTool({
    definition: JSON.stringify({
      parameters: {},
      execution: { type: 'webhook', url: 'https://x.example/', ...execution },
      ...definition,
    }),
  });
}

const refused = (words: string): unknown =>
  expect.objectContaining({
    code: 'invalid_arguments',
    mayHaveRun: false,
    message: `Invalid arguments. ${words}. Correct them and call again.`,
  });

describe('hidden parameters', () => {
  const tool = prepare({ hidden: { Tenant: { value: 'acme' }, trace: { from: 'request.id' } } });

  it.each(['Tenant', 'tenant', 'TENANT', 'tenant[]', 'Tenant[a][b]', 'Trace'])(
    'are not set by an argument %s',
    (name) => {
      expect(() => acceptArguments(tool, { a: 1, [name]: 'evil' }, scope)).toThrow(
        refused(`/${name}: must not be given`) as Error,
      );
    },
  );

  it('are named in few words when they are set', () => {
    const name = `tenant[${'~'.repeat(100_000)}`;
    expect(() => acceptArguments(tool, { [name]: 1 }, scope)).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^.{1,250}$/) as string }) as Error,
    );
  });

  it('come after the arguments', () => {
    const values = acceptArguments(tool, { tenants: 1, 'ten[ant]': 2 }, scope);
    expect(JSON.stringify(values)).toBe('{"tenants":1,"ten[ant]":2,"Tenant":"acme","trace":"r1"}');
  });
});

describe('unfit arguments', () => {
  it('are refused before they are checked and before defaults are filled in', () => {
    const parameters = {
      required: ['z'],
      properties: { a: { items: { properties: { b: { default: 'x'.repeat(1000) } } } } },
    };
    const tool = prepare({ parameters }, { apply_defaults: true });
    const validate = vi.spyOn(tool.argumentsSchema, 'validate');
    const input: JsonObject = { a: Array.from({ length: 50_000 }, () => ({})) };
    expect(() => acceptArguments(tool, input, scope)).toThrow(
      refused('expected no more than 50000 values') as Error,
    );
    expect(validate).not.toHaveBeenCalled();
  });

  it('are not looked for again by who was told', () => {
    const tool = prepare();
    expect(() => acceptArguments(tool, {}, scope, 'told')).toThrow(refused('told') as Error);
    const keys = vi.fn(Reflect.ownKeys);
    const input = new Proxy<JsonObject>({ a: 1 }, { ownKeys: keys });
    acceptArguments(tool, input, scope, null);
    const spent = keys.mock.calls.length;
    acceptArguments(tool, input, scope);
    expect(keys.mock.calls.length).toBe(2 * spent + 1);
  });
});

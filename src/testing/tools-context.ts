import type { Caller } from '../caller.ts';
import type { Database } from '../db/database.ts';
import { createEncryption } from '../encryption.ts';
import type { ToolsContext } from '../tools/context.ts';

export const ALICE: Caller = { kind: 'user', userId: '11111111-1111-4111-8111-111111111111', isStaff: false };
export const BOB: Caller = { kind: 'user', userId: '22222222-2222-4222-8222-222222222222', isStaff: false };
export const STAFF: Caller = { kind: 'user', userId: '33333333-3333-4333-8333-333333333333', isStaff: true };

/** What the registry needs, over a test's database; every URL may be called. */
export function testToolsContext(database: Database, overrides: Partial<ToolsContext> = {}): ToolsContext {
  let time = Date.UTC(2030, 0, 1);
  return {
    database,
    encryption: createEncryption([Buffer.alloc(32, 1)]),
    now: () => time++,
    checkUrl: () => undefined,
    internalFunctions: new Set(['test.function']),
    limits: { toolsPerUser: 100, definitionBytes: 65_536, answerBytes: 1_000_000 },
    ...overrides,
  };
}

/** The input of a webhook tool. */
export function webhookInput(name: string, execution: Record<string, unknown> = {}) {
  return {
    name,
    definition: {
      name,
      description: `Does ${name}.`,
      parameters: { type: 'object', properties: {} },
      execution: { type: 'webhook', url: 'https://tools.example/hook', ...execution },
    },
  };
}

import { describe, expect, it } from 'vitest';
import type { Database } from './db/database.ts';
import { ServiceError } from './errors.ts';
import { until } from './events/events-for-tests.ts';
import { installBuiltins } from './install-builtins.ts';
import { openTestDatabase } from './testing/test-database.ts';
import { testToolsContext } from './testing/tools-context.ts';
import { findBuiltins } from './tools/tool-store.ts';

function setUp(database: Database) {
  const lines: string[] = [];
  const state = { isMigrated: false, isAway: true };
  const away = new ServiceError('unavailable', 'away');
  const failing: Database = {
    ...database,
    check: async () => {
      if (!state.isMigrated) throw away;
    },
    transaction: (work, options) =>
      state.isAway ? Promise.reject(away) : database.transaction(work, options),
  };
  const warn = (...parts: unknown[]) => lines.push(String(parts.at(-1)));
  const context = { tools: testToolsContext(failing), logger: { warn } as never };
  return { lines, state, installing: installBuiltins(context, { pauseMs: 5 }) };
}

describe('installBuiltins', () => {
  it('waits for the schema, and goes on when the database is away just then', async () => {
    await using database = await openTestDatabase();
    const { lines, state, installing } = setUp(database);
    await installing.firstAttempt;
    state.isMigrated = true;
    await until(() => lines.length === 2);
    expect((await findBuiltins(database)).size).toBe(0);
    state.isAway = false;
    await until(async () => (await findBuiltins(database)).size === 2);
    await installing.close();
    expect(lines).toEqual([
      'the database has not got the current schema: waiting for its migrations',
      'the built-in tools cannot be installed now: trying again',
    ]);
  });

  it('ends while it waits', async () => {
    await using database = await openTestDatabase();
    const { state, installing } = setUp(database);
    await installing.firstAttempt;
    await Promise.all([installing.close(), installing.close()]);
    Object.assign(state, { isMigrated: true, isAway: false });
    expect((await findBuiltins(database)).size).toBe(0);
  });
});

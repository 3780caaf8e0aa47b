import { describe, expect, it } from 'vitest';
import { engines } from '../events/events-for-tests.ts';
import { openTestDatabase } from '../testing/test-database.ts';
import { testToolsContext } from '../testing/tools-context.ts';
import { installBuiltinTools } from './install-builtin-tools.ts';
import { findBuiltins } from './tool-store.ts';

const builtins = ['a', 'b'].map((name) => ({
  pointer: `test.${name}`,
  name,
  toolType: 'standard' as const,
  description: 'Comes with the service.',
  parameters: { type: 'object' },
}));

describe.each(engines)('installing built-in tools on %s', (engine) => {
  it('is no quarrel about names for several that start at once', async () => {
    await using database = await openTestDatabase(engine);
    const context = testToolsContext(database);
    const refused = await Promise.all(
      Array.from({ length: 6 }, () => installBuiltinTools(context, builtins)),
    );
    expect(refused.flat()).toEqual([]);
    expect([...(await findBuiltins(database))].sort()).toEqual(['test.a', 'test.b']);
  });
});

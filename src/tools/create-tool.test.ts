import { describe, expect, it } from 'vitest';
import { isMissing } from '../testing/services.ts';
import { makeTestDatabase } from '../testing/test-database.ts';
import { ALICE, BOB, testToolsContext, webhookInput } from '../testing/tools-context.ts';
import { createTool } from './create-tool.ts';

describe.skipIf(await isMissing('postgres'))('the creation of very many tools of one user', () => {
  it('leaves connections to everybody else', async () => {
    const place = await makeTestDatabase('postgres');
    const database = await place.open({ poolSize: 3 });
    try {
      const context = testToolsContext(database);
      const order: string[] = [];
      const many = Array.from({ length: 100 }, async (_, index) => {
        await createTool(context, ALICE, webhookInput(`tool ${index}`));
        order.push('many');
      });
      await createTool(context, BOB, webhookInput('one'));
      order.push('one');
      await Promise.all(many);
      // Behind a few, where it would be behind all that take connections before it.
      expect(order.indexOf('one')).toBeLessThan(30);
      expect(order).toHaveLength(101);
    } finally {
      await database.close();
      await place.remove();
    }
  });
});

import { describe, expect, it } from 'vitest';
import { isMissing } from '../testing/services.ts';
import { type Engine, makeTestDatabase } from '../testing/test-database.ts';
import { ALICE, testToolsContext, webhookInput } from '../testing/tools-context.ts';
import { getTool } from './access.ts';
import type { ToolsContext } from './context.ts';
import { createTool } from './create-tool.ts';
import { deleteTool } from './delete-tool.ts';
import { updateTool } from './update-tool.ts';

const engines: Engine[] = (await isMissing('postgres')) ? ['sqlite'] : ['sqlite', 'postgres'];
const merge = { mode: 'merge', expected: undefined } as const;

/** Two replicas on one database. */
async function openReplicas(engine: Engine) {
  const place = await makeTestDatabase(engine);
  const databases = [await place.open(), await place.open()] as const;
  const [one, two] = databases.map((database) => testToolsContext(database)) as [ToolsContext, ToolsContext];
  return {
    one,
    two,
    async [Symbol.asyncDispose]() {
      for (const database of databases) await database.close();
      await place.remove();
    },
  };
}

/** The codes of those that failed. */
async function failuresOf(changes: readonly Promise<unknown>[]): Promise<unknown[]> {
  const outcomes = await Promise.allSettled(changes);
  return outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason.code] : []));
}

describe.each(engines)('changes of a tool at the same time, on %s', (engine) => {
  it('are all made, in whichever process, each on what is there', async () => {
    await using replicas = await openReplicas(engine);
    const { one, two } = replicas;
    const { id } = await createTool(one, ALICE, webhookInput('one'));
    const changes = Array.from({ length: 40 }, (_, index) => {
      const input = index === 7 ? { tool_type: 'mcp' } : { name: `name ${index}` };
      return updateTool(index % 2 === 0 ? one : two, ALICE, id, input, merge);
    });
    expect(await failuresOf(changes)).toEqual([]);
    expect(await getTool(two, ALICE, id)).toMatchObject({ toolType: 'mcp', revision: 41 });
  });

  it('end with its deletion', async () => {
    await using replicas = await openReplicas(engine);
    const { one, two } = replicas;
    const { id } = await createTool(one, ALICE, webhookInput('one'));
    const change = (context: ToolsContext, index: number) =>
      updateTool(context, ALICE, id, { name: `name ${index}` }, merge);
    const before = failuresOf(Array.from({ length: 10 }, (_, index) => change(one, index)));
    const deletions = failuresOf([one, two].map((context) => deleteTool(context, ALICE, id, undefined)));
    const after = failuresOf(Array.from({ length: 10 }, (_, index) => change(two, index)));
    expect(await deletions).toEqual(['not_found']);
    const failures = [...(await before), ...(await after)];
    expect(failures.filter((code) => code !== 'not_found')).toEqual([]);
  });

  it('fail where they expect another version: of those that expect the same, one is made', async () => {
    await using replicas = await openReplicas(engine);
    const { one, two } = replicas;
    const { id } = await createTool(one, ALICE, webhookInput('one'));
    const expected = ['"1"'];
    const changes = [one, two, one].map((context, index) =>
      updateTool(context, ALICE, id, { name: `name ${index}` }, { mode: 'merge', expected }),
    );
    expect(await failuresOf(changes)).toEqual(['aborted', 'aborted']);
    await expect(deleteTool(two, ALICE, id, expected)).rejects.toMatchObject({ code: 'aborted' });
    expect(await getTool(two, ALICE, id)).toMatchObject({ revision: 2 });
  });
});

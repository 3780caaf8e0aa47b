import { describe, expect, it } from 'vitest';
import { openTestDatabase } from '../../testing/test-database.ts';
import { ALICE, testToolsContext, webhookInput } from '../../testing/tools-context.ts';
import { createTool } from '../../tools/create-tool.ts';
import type { Authentication } from '../../tools/definition.ts';
import { deleteTool } from '../../tools/delete-tool.ts';
import { updateTool } from '../../tools/update-tool.ts';
import { findCredential } from './authorize.ts';

const bearer = (token: string) => ({ authentication: { type: 'bearer', token } });
const masked: Authentication = { type: 'bearer', token: '********' };

describe('the credential of a tool', () => {
  it('is that of the very version of the definition, so that no secret goes out with an older URL', async () => {
    await using database = await openTestDatabase();
    const context = testToolsContext(database);
    const old = await createTool(context, ALICE, webhookInput('one', bearer('secret-1')));
    expect(await findCredential(context, old, masked)).toEqual({ type: 'bearer', token: 'secret-1' });
    const change = { definition: webhookInput('one', bearer('secret-2')).definition };
    const changed = await updateTool(context, ALICE, old.id, change, { mode: 'merge', expected: undefined });

    const refusal = { code: 'tool_not_found', mayHaveRun: false };
    await expect(findCredential(context, old, masked)).rejects.toMatchObject(refusal);
    expect(await findCredential(context, changed, masked)).toEqual({ type: 'bearer', token: 'secret-2' });
    await deleteTool(context, ALICE, old.id, undefined);
    await expect(findCredential(context, changed, masked)).rejects.toMatchObject(refusal);
  });
});

import type { Caller } from '../caller.ts';
import type { Database } from '../db/database.ts';
import {
  keyedCall,
  never,
  success,
  testIdempotency,
} from '../execution/idempotency/idempotency-for-tests.ts';
import { record, testHistory } from '../history/history-for-tests.ts';
import { isMissing } from '../testing/services.ts';
import type { Engine } from '../testing/test-database.ts';
import { testToolsContext, webhookInput } from '../testing/tools-context.ts';
import { createTool } from '../tools/create-tool.ts';

/** The engines that are there. */
export const engines: Engine[] = (await isMissing('postgres')) ? ['sqlite'] : ['sqlite', 'postgres'];

export const NOW = Date.UTC(2030, 0, 1);

/** What handling a message needs. `lines` holds what was logged, as level and words. */
export function deletionContext(database: Database) {
  const lines: string[] = [];
  const at =
    (level: string) =>
    (fields: { reason?: string }, words: string): void => {
      lines.push(`${level}: ${words}${fields.reason === undefined ? '' : ` (${fields.reason})`}`);
    };
  const logger = { info: at('info'), warn: at('warn'), error: at('error') };
  return { database, now: () => NOW, logger: logger as never, lines };
}

export function bodyFor(caller: Caller): Buffer {
  return Buffer.from(JSON.stringify({ user_id: caller.userId }));
}

/** Gives a user some of everything: tools with secrets, executions and keyed runs. @returns the tools' ids. */
export async function furnish(
  database: Database,
  caller: Caller,
  { tools = 3, executions = 3, keys = 3 } = {},
): Promise<string[]> {
  const context = testToolsContext(database);
  const authentication = { type: 'bearer', token: 'the-real-secret' };
  const ids: string[] = [];
  for (let index = 0; index < tools; index++) {
    const { id } = await createTool(context, caller, webhookInput(`tool ${index}`, { authentication }));
    ids.push(id);
  }
  await using history = testHistory(database, { payloads: true });
  await using idempotency = testIdempotency(database, { now: () => NOW });
  const userId = caller.userId ?? '';
  for (let index = 0; index < executions; index++) history.record(record({ userId }));
  await history.flush();
  for (let index = 0; index < keys; index++) {
    const call = keyedCall({ userId, toolId: ids[index] ?? 'system', key: `key ${index}` });
    await idempotency.runOnce(call, never, async () => success('1'));
  }
  return ids;
}

/** How often a text is anywhere in each table's rows; tables without it are left out. */
export async function findEverywhere(database: Database, text: string): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const [name, table] of Object.entries(database.tables)) {
    const rows: object[] = await database.read.select().from(table);
    const count = rows.filter((row) => JSON.stringify(row).includes(text)).length;
    if (count > 0) found[name] = count;
  }
  return found;
}

/** All rows of every table, of which events and deleted users only that they are there. */
export async function everything(database: Database): Promise<Record<string, object[]>> {
  const rows: Record<string, object[]> = {};
  for (const [name, table] of Object.entries(database.tables)) {
    rows[name] = await database.read.select().from(table);
  }
  return rows;
}

/** The events so far, as type and subject, in their order. */
export async function eventsOf({ read, tables: { outbox } }: Database): Promise<[string, string][]> {
  const rows = await read.select().from(outbox).orderBy(outbox.sequence);
  return rows.map(({ type, subject }) => [type, subject]);
}

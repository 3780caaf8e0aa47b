import { asc, sql } from 'drizzle-orm';
import { type Database, preparedOnce } from '../db/database.ts';
import { pendingOfType } from './outbox-store.ts';

const reads = preparedOnce((database, handle) => {
  const { outbox, tools } = database.tables;
  return {
    tools: database.prepare(
      handle,
      'tools_that_are_there',
      handle.select({ id: tools.id }).from(tools).where(database.anyOf(tools.id, 'ids')),
    ),
    waiting: database.prepare(
      handle,
      'subjects_of_waiting_events',
      handle
        .select({ sequence: outbox.sequence, subject: outbox.subject })
        .from(outbox)
        .where(pendingOfType(database))
        .orderBy(asc(outbox.type), asc(outbox.sequence))
        .limit(sql.placeholder('limit')),
    ),
  };
});

/** Those of these tools that are there, whoever owns them. */
export async function existingTools(database: Database, ids: readonly string[]): Promise<Set<string>> {
  const rows = await reads(database).tools({ ids: JSON.stringify(ids) });
  return new Set(rows.map(({ id }) => id));
}

/** A page of the events of a type that wait, after a sequence, in order. */
export async function pageOfSubjects(
  database: Database,
  page: { readonly type: string; readonly after: number; readonly limit: number },
): Promise<readonly { readonly sequence: number; readonly subject: string }[]> {
  return reads(database).waiting({ ...page });
}

import { Sqlite } from '../../src/db/sqlite/driver.ts';
import type { TrackedTool } from './changes.ts';

interface ToolRow {
  readonly id: string;
  readonly ownerId: string;
  readonly name: string;
  readonly description: string;
  readonly definition: string;
}

/**
 * Holds the database against what was acknowledged, and settles what was cut off: from then on it must stay as it is.
 *
 * @returns what is wrong, in words; the ids of all tools that were deleted.
 */
export function verify(
  file: string,
  tools: readonly TrackedTool[],
): { faults: string[]; deleted: Set<string> } {
  const database = new Sqlite(file, { readonly: true });
  try {
    const faults: string[] = [];
    const integrity = database.pragma('integrity_check', { simple: true });
    if (integrity !== 'ok') faults.push(`integrity_check: ${String(integrity)}`);
    const rows = database
      .prepare(
        `select id, owner_id as ownerId, name, description, definition from tools where owner_id is not null`,
      )
      .all() as ToolRow[];
    const events = database
      .prepare(
        `select subject, type, count(*) as count from outbox where type like 'tool.%' group by subject, type`,
      )
      .all() as { subject: string; type: string; count: number }[];
    const eventsOf = (type: string) =>
      new Map(events.filter((event) => event.type === type).map(({ subject, count }) => [subject, count]));
    const [created, deletions] = [eventsOf('tool.created'), eventsOf('tool.deleted')];
    const byName = new Map(rows.map((row) => [`${row.ownerId} ${row.name}`, row]));
    const ids = new Set(rows.map(({ id }) => id));
    const deleted = new Set<string>();

    for (const tool of tools) {
      const row = byName.get(`${tool.userId} ${tool.name}`);
      byName.delete(`${tool.userId} ${tool.name}`);
      const found = row?.description ?? null;
      if (!tool.allowed.includes(found)) {
        faults.push(`${tool.name} is ${JSON.stringify(found)}, not ${JSON.stringify(tool.allowed)}`);
      }
      if (row && !row.definition.includes(row.description)) faults.push(`${tool.name} is half changed`);
      if (row && tool.id !== undefined && row.id !== tool.id) faults.push(`${tool.name} has another id`);
      tool.id ??= row?.id;
      tool.allowed = [found];
      if (tool.id === undefined) continue;
      if ((created.get(tool.id) ?? 0) !== 1) faults.push(`${tool.name} has not one event of its creation`);
      if (found !== null) continue;
      deleted.add(tool.id);
      if (deletions.get(tool.id) !== 1) {
        faults.push(`${tool.name} is deleted and has ${deletions.get(tool.id) ?? 0} events`);
      }
    }
    for (const name of byName.keys()) faults.push(`nobody created ${name}`);
    for (const id of deletions.keys()) {
      if (ids.has(id)) faults.push(`${id} is there, and an event says that it is deleted`);
      else if (!deleted.has(id)) faults.push(`an event says that ${id} is deleted, which never was a tool`);
    }
    return { faults, deleted };
  } finally {
    database.close();
  }
}

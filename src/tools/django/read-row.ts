import type { JsonValue } from '../../json.ts';
import { parseUuid } from '../../uuid.ts';
import type { DjangoRow } from './django-store.ts';

/** A row of the old service's table, read; its definition may be of any shape. */
export interface OldTool {
  readonly id: string;
  /** Null for a system tool. */
  readonly ownerId: string | null;
  /** What a caller would write to register it, to be checked as that is. */
  readonly input: Readonly<Record<string, unknown>>;
  /** Milliseconds since 1970; null where the row has no time that can be read. */
  readonly createdAt: number | null;
  readonly updatedAt: number | null;
}

/** Longer than any definition that could be valid, however it is written: a character as `\u0041` takes six. */
const SPACIOUS = 8;

/**
 * Reads a row as Django's SQLite backend writes it: a UUID as 32 hexadecimal digits, a time as UTC without an offset
 * (`2024-05-01 12:34:56.789012`), JSON as text, a truth value as 0 or 1; and as other tools write the same.
 *
 * @param definitionBytes what a definition may have, in bytes.
 * @returns the tool, or the words for what makes the row unreadable.
 */
export function readRow(row: DjangoRow, definitionBytes: number): OldTool | string {
  const id = readUuid(row.id);
  if (id === undefined) return "'id' is no UUID.";
  const isSystem = readTruth(row.is_system_tool);
  if (isSystem === undefined) return "'is_system_tool' is neither true nor false.";
  const owner = row.owner_id === null || row.owner_id === '' ? null : readUuid(row.owner_id);
  if (owner === undefined) return "'owner_id' is no UUID.";
  if (owner === null && !isSystem) return 'It belongs to nobody and is no system tool.';

  const text = readText(row.definition);
  if (text === undefined) return "'definition' is missing.";
  if (text.length > SPACIOUS * definitionBytes) {
    return `'definition' has ${text.length} characters; no more than ${definitionBytes} bytes are allowed (MAX_DEFINITION_BYTES).`;
  }
  const definition = readJson(text);
  if (definition === undefined) return "'definition' is not valid JSON.";
  return {
    id,
    ownerId: isSystem ? null : owner,
    input: {
      name: readText(row.name),
      definition,
      ...(row.tool_type === null || row.tool_type === undefined
        ? {}
        : { tool_type: readText(row.tool_type) }),
    },
    createdAt: readTime(row.created_at),
    updatedAt: readTime(row.updated_at),
  };
}

function readUuid(value: unknown): string | undefined {
  if (Buffer.isBuffer(value)) return value.length === 16 ? parseUuid(value.toString('hex')) : undefined;
  return parseUuid(typeof value === 'string' ? value.trim() : value);
}

function readText(value: unknown): string | undefined {
  if (Buffer.isBuffer(value)) return value.toString('utf8');
  return typeof value === 'string' ? value : undefined;
}

/** A column that is not there counts as false. */
function readTruth(value: unknown): boolean | undefined {
  switch (typeof value === 'string' ? value.toLowerCase() : value) {
    case 1:
    case '1':
    case 'true':
    case 't':
      return true;
    case 0:
    case '0':
    case 'false':
    case 'f':
    case null:
    case undefined:
      return false;
    default:
      return undefined;
  }
}

/** JSON text, or JSON text of a string that is JSON text: so does a field of text that is given JSON end up. */
function readJson(text: string): JsonValue | undefined {
  try {
    const value = JSON.parse(text) as JsonValue;
    return typeof value === 'string' ? (JSON.parse(value) as JsonValue) : value;
  } catch {
    return undefined;
  }
}

const TIME =
  /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?$/i;

/** What Django writes for a time, or ISO 8601. Without an offset it is UTC; what is finer than a millisecond is cut. */
export function readTime(value: unknown): number | null {
  const match = typeof value === 'string' ? TIME.exec(value.trim()) : null;
  if (!match) return null;
  const [, date, minutes = '00:00', seconds = '00', fraction = '', offset = 'Z'] = match;
  const zone = /^[+-]/.test(offset)
    ? `${offset.slice(0, 3)}:${offset.slice(3).replace(':', '') || '00'}`
    : 'Z';
  const time = Date.parse(`${date}T${minutes}:${seconds}.${fraction.slice(0, 3).padEnd(3, '0')}${zone}`);
  return Number.isNaN(time) ? null : time;
}

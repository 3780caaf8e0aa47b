import { clip } from '../clip.ts';
import type { Encryption } from '../encryption.ts';
import type { JsonObject } from '../json.ts';
import { uuidV7 } from '../uuid.ts';
import type { Execution, ExecutionRecord } from './execution-record.ts';
import type { ExecutionRow } from './history-store.ts';

/** Characters of a stranger's text that are kept. */
const MAX_CHARACTERS = 255;

/** Bytes of arguments or of an output that are kept; longer ones are not. */
const MAX_PAYLOAD_BYTES = 64 * 1024;

/** The largest whole number that the columns hold. */
const MAX_INTEGER = 2 ** 31 - 1;

/** Makes a row of a record: its id, what is storable of its texts, and its payload where that is kept, in the clear. */
export function draftRow(record: ExecutionRecord, payloads: boolean): ExecutionRow {
  const argumentsText = textOf(record.arguments);
  const argumentBytes = Buffer.byteLength(argumentsText);
  const outputBytes = Buffer.byteLength(record.output);
  const keep = (text: string, bytes: number) =>
    payloads && bytes > 0 && bytes <= MAX_PAYLOAD_BYTES ? text : null;
  return {
    id: uuidV7(record.startedAt),
    userId: record.userId,
    toolId: record.toolId,
    toolName: storable(record.toolName),
    callId: storable(record.callId),
    requestId: storable(record.requestId),
    errorCode: record.errorCode,
    startedAt: whole(record.startedAt, Number.MAX_SAFE_INTEGER),
    durationMs: whole(record.durationMs),
    attempts: whole(record.attempts),
    argumentBytes: whole(argumentBytes),
    outputBytes: whole(outputBytes),
    argumentsHash: record.argumentsHash,
    arguments: keep(argumentsText, argumentBytes),
    output: keep(record.output, outputBytes),
  };
}

/** The row with its payload encrypted for it. */
export function sealRow(row: ExecutionRow, encryption: Encryption): ExecutionRow {
  const seal = (field: PayloadField) => {
    const text = row[field];
    return text === null ? null : encryption.encrypt(text, placeOf(row.id, field));
  };
  return { ...row, arguments: seal('arguments'), output: seal('output') };
}

/** What a stored row tells its user. */
export function openRow(row: ExecutionRow, encryption: Encryption): Execution {
  const { userId, startedAt, ...rest } = row;
  return {
    ...rest,
    toolId: row.toolId === '' ? null : row.toolId,
    status: row.errorCode === null ? 'success' : 'error',
    startedAt: new Date(startedAt),
    arguments: open(row, 'arguments', encryption),
    output: open(row, 'output', encryption),
  };
}

type PayloadField = 'arguments' | 'output';

function open(row: ExecutionRow, field: PayloadField, encryption: Encryption): string | null {
  const sealed = row[field];
  if (sealed === null) return null;
  try {
    return encryption.decrypt(sealed, placeOf(row.id, field));
  } catch {
    // Its key is gone: the rest of the row is as good as ever.
    return null;
  }
}

function placeOf(id: string, field: PayloadField): string {
  return `${id}/${field}`;
}

/** Arguments as JSON text; empty where they are nested too deeply to be written, which no tool accepts. */
function textOf(input: JsonObject): string {
  try {
    return JSON.stringify(input);
  } catch {
    return '';
  }
}

/** PostgreSQL stores no NUL, and neither engine lone surrogates: U+FFFD stands for them. */
function storable(text: string): string {
  return clip(text, MAX_CHARACTERS).replaceAll('\0', '\uFFFD');
}

function whole(value: number, max = MAX_INTEGER): number {
  return Math.trunc(Math.min(Math.max(value || 0, 0), max));
}

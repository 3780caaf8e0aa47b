import type { Database } from '../db/database.ts';
import { createEncryption } from '../encryption.ts';
import { ALICE } from '../testing/tools-context.ts';
import { createHistory, type HistoryOptions } from './create-history.ts';
import type { ExecutionRecord } from './execution-record.ts';
import type { WriterTiming } from './row-writer.ts';

export const NOW = Date.UTC(2030, 0, 1);
export const DAY_MS = 24 * 60 * 60 * 1000;

export const testEncryption = createEncryption([Buffer.alloc(32, 7)]);

/** A history that keeps rows for 30 days, at `NOW`. `faults` holds what was logged; close it by scope. */
export function testHistory(
  database: Database,
  overrides: Partial<HistoryOptions> = {},
  timing: Partial<WriterTiming & { closeMs: number }> = {},
) {
  const faults: unknown[] = [];
  const history = createHistory(
    {
      database,
      encryption: testEncryption,
      payloads: false,
      retentionMs: 30 * DAY_MS,
      now: () => NOW,
      logFault: (error) => faults.push(error),
      ...overrides,
    },
    timing,
  );
  return {
    record: history.record,
    flush: history.flush,
    close: history.close,
    dropped: () => history.dropped,
    faults,
    [Symbol.asyncDispose]: history.close,
  };
}

/** A call of Alice's that went well; what is not given is the same for all. */
export function record(overrides: Partial<ExecutionRecord> = {}): ExecutionRecord {
  return {
    userId: ALICE.userId ?? '',
    toolId: '99999999-9999-4999-8999-999999999999',
    toolName: 'weather',
    callId: 'call-1',
    requestId: 'request-1',
    errorCode: null,
    startedAt: NOW,
    durationMs: 12,
    attempts: 1,
    argumentsHash: 'a'.repeat(64),
    arguments: { location: 'Bern' },
    output: '"sunny"',
    ...overrides,
  };
}

/** All rows, oldest first. */
export function storedRows({ read, tables }: Database) {
  return read.select().from(tables.executions).orderBy(tables.executions.id);
}

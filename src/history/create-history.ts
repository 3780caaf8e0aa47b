import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../db/database.ts';
import type { Encryption } from '../encryption.ts';
import type { ExecutionRecord } from './execution-record.ts';
import { draftRow } from './execution-row.ts';
import { startPurge } from './purge-executions.ts';
import { createRowWriter, type WriterTiming } from './row-writer.ts';

/** Keeps what calls came to. */
export interface History {
  /** Takes a call that has ended; it is written within about half a second. Never throws and never waits. */
  record(execution: ExecutionRecord): void;
  /** Writes what was recorded so far, while the database answers; what it does not take is tried again later. */
  flush(): Promise<void>;
  /** How many calls left no row: too many came at once or while the database was away, or the service stopped. */
  readonly dropped: number;
  /** Writes what there is, for a bounded time, and lets go of the rest. Idempotent. */
  close(): Promise<void>;
}

export interface HistoryOptions {
  readonly database: Database;
  readonly encryption: Encryption;
  /** Whether arguments and outputs are kept, encrypted. */
  readonly payloads: boolean;
  /** How long a row is kept, in milliseconds. */
  readonly retentionMs: number;
  /** The time in milliseconds since 1970. */
  readonly now: () => number;
  readonly logFault: (error: unknown) => void;
}

/** How long close waits for the database, in milliseconds. */
const CLOSE_MS = 5000;

/** Close it before the database. */
export function createHistory(
  { database, encryption, payloads, retentionMs, now, logFault }: HistoryOptions,
  timing: Partial<WriterTiming & { readonly closeMs: number }> = {},
): History {
  const { closeMs = CLOSE_MS, ...writerTiming } = timing;
  const writer = createRowWriter({ database, encryption, logFault }, writerTiming);
  const endPurge = startPurge({ database, oldUntil: () => now() - retentionMs, logFault });
  let closed: Promise<void> | undefined;

  const close = async () => {
    const timeUp = new AbortController();
    await Promise.race([
      Promise.all([endPurge(), writer.flush()]),
      sleep(closeMs, undefined, { signal: timeUp.signal }).catch(() => {}),
    ]);
    timeUp.abort();
    writer.close();
  };

  return {
    record: (execution) => writer.add(draftRow(execution, payloads)),
    flush: writer.flush,
    get dropped() {
      return writer.dropped;
    },
    close() {
      closed ??= close();
      return closed;
    },
  };
}

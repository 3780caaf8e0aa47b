import { setImmediate as nextImmediate } from 'node:timers/promises';
import type { Database } from '../db/database.ts';
import type { Encryption } from '../encryption.ts';
import { ServiceError } from '../errors.ts';
import { takeTurns } from '../take-turns.ts';
import { keepUsers } from '../users/deleted-users-store.ts';
import { createBacklog } from './backlog.ts';
import { sealRow } from './execution-row.ts';
import { type ExecutionRow, insertExecutions } from './history-store.ts';

/** So many rows are written without waiting for more. */
const FULL_BATCH = 500;

const TIMING = {
  /** How long the first row of a batch waits for others. */
  batchMs: 500,
  /** The pause after a failure, which doubles with each one that follows. */
  firstPauseMs: 500,
  longestPauseMs: 30_000,
};
export type WriterTiming = Readonly<typeof TIMING>;

/** Writes rows in batches. */
export interface RowWriter {
  add(row: ExecutionRow): void;
  /** Writes what waits now; resolves when it is written, or the database has failed once. */
  flush(): Promise<void>;
  /** How many rows were never written. */
  readonly dropped: number;
  /** Drops what waits, and whatever is added later. */
  close(): void;
}

interface WriterContext {
  readonly database: Database;
  readonly encryption: Encryption;
  readonly logFault: (error: unknown) => void;
}

/**
 * Rows wait in memory until a batch is due, and for as long as the database is away. There is a timer only while rows
 * wait, and it does not keep the process alive. Rows of users who are deleted by then, or just being deleted, are not
 * written: nobody else's wait for a deletion.
 */
export function createRowWriter(
  { database, encryption, logFault }: WriterContext,
  timing: Partial<WriterTiming> = {},
): RowWriter {
  const { batchMs, firstPauseMs, longestPauseMs } = { ...TIMING, ...timing };
  const waiting = createBacklog();
  let writing: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  /** Until the next attempt; 0 while the database answers. */
  let pauseMs = 0;
  let dropped = 0;
  /** Since nothing waited last: a flood is told of once. */
  let hasOverflowed = false;
  let isClosed = false;

  function schedule(): void {
    if (isClosed || writing || waiting.length === 0) return;
    if (pauseMs === 0 && waiting.length >= FULL_BATCH) void write();
    else timer ??= setTimeout(write, pauseMs || batchMs).unref();
  }

  /** One at a time: who asks during one gets its end. */
  function write(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    writing ??= writeWaiting().finally(() => {
      writing = undefined;
      schedule();
    });
    return writing;
  }

  /** Writes what waits at its start; what comes meanwhile makes a batch of its own. */
  async function writeWaiting(): Promise<void> {
    // Not in the turn of the call that filled the batch.
    await nextImmediate();
    for (let left = waiting.length; left > 0 && waiting.length > 0; ) {
      const chunk = waiting.take();
      left -= chunk.length;
      try {
        await writeChunk(chunk);
        pauseMs = 0;
      } catch (error) {
        if (isClosed) {
          dropped += chunk.length;
        } else if (isAway(error)) {
          // Once for each time that it is away.
          if (pauseMs === 0) logFault(error);
          pauseMs = Math.min(2 * pauseMs || firstPauseMs, longestPauseMs);
          waiting.putBack(chunk);
          trim();
          return;
        } else {
          // A fault of ours, that the same rows would meet again: they must not keep others from being written.
          dropped += chunk.length;
          logFault(error);
        }
      }
    }
    if (waiting.length === 0) hasOverflowed = false;
  }

  async function writeChunk(chunk: readonly ExecutionRow[]): Promise<void> {
    const nextTurn = takeTurns();
    const sealed: ExecutionRow[] = [];
    for (const row of chunk) {
      await nextTurn();
      sealed.push(sealRow(row, encryption));
    }
    await nextImmediate();
    const users = [...new Set(sealed.map(({ userId }) => userId))].filter((userId) => userId !== '');
    await database.transaction(
      async (transaction) => {
        const deleted = await keepUsers(database, transaction, users);
        const kept = sealed.filter(({ userId }) => !deleted.has(userId));
        if (kept.length > 0) await insertExecutions(database, transaction, kept);
      },
      // The last rows are not worth waiting for the disk, which everybody's calls would wait for too.
      { survivesPowerLoss: false },
    );
  }

  function trim(): void {
    const tooMany = waiting.trim();
    dropped += tooMany;
    if (tooMany === 0 || hasOverflowed) return;
    hasOverflowed = true;
    logFault(new Error('too many executions wait for the database: some leave no row in the history'));
  }

  return {
    add(row) {
      if (isClosed) {
        dropped++;
        return;
      }
      waiting.push(row);
      trim();
      schedule();
    },
    async flush() {
      // The one under way may have begun before what waits now was there.
      await writing;
      if (waiting.length > 0) await write();
    },
    get dropped() {
      return dropped;
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
      const { length } = waiting;
      waiting.clear();
      dropped += length;
      if (length > 0)
        logFault(new Error(`the service stops: ${length} executions leave no row in the history`));
    },
  };
}

/** The database cannot take rows now, and nothing is wrong with them. */
function isAway(error: unknown): boolean {
  return error instanceof ServiceError && error.code === 'unavailable';
}

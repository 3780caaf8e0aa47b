import type { ExecutionRow } from './history-store.ts';

/** Rows that wait in memory, and characters of their payloads. */
const MAX_ROWS = 20_000;
const MAX_CHARACTERS = 32 * 1024 * 1024;

/** What one transaction writes: it holds the event loop, and other writers, for some milliseconds. */
const CHUNK_ROWS = 250;
const CHUNK_CHARACTERS = 128 * 1024;

/** Rows that wait to be written, in the order of their coming. */
export interface Backlog {
  readonly length: number;
  push(row: ExecutionRow): void;
  /** Takes out the oldest, as many as one transaction writes. */
  take(): ExecutionRow[];
  /** Puts back what was taken last. */
  putBack(rows: readonly ExecutionRow[]): void;
  /** Drops the oldest of more than may wait: 20,000 rows, or payloads of 32 Mi characters. @returns how many. */
  trim(): number;
  clear(): void;
}

export function createBacklog(): Backlog {
  let rows: ExecutionRow[] = [];
  let characters = 0;

  function removeOldest(count: number): ExecutionRow[] {
    if (count === 0) return [];
    const oldest = rows.splice(0, count);
    for (const row of oldest) characters -= weightOf(row);
    return oldest;
  }

  return {
    get length() {
      return rows.length;
    },
    push(row) {
      rows.push(row);
      characters += weightOf(row);
    },
    take() {
      let count = 0;
      let weight = 0;
      for (const row of rows) {
        if (count === CHUNK_ROWS || weight >= CHUNK_CHARACTERS) break;
        weight += weightOf(row);
        count++;
      }
      return removeOldest(count);
    },
    putBack(chunk) {
      rows = [...chunk, ...rows];
      for (const row of chunk) characters += weightOf(row);
    },
    trim() {
      let count = 0;
      for (let left = characters; rows.length - count > MAX_ROWS || left > MAX_CHARACTERS; count++) {
        left -= weightOf(rows[count]);
      }
      return removeOldest(count).length;
    },
    clear() {
      rows = [];
      characters = 0;
    },
  };
}

function weightOf(row: ExecutionRow | undefined): number {
  return (row?.arguments?.length ?? 0) + (row?.output?.length ?? 0);
}

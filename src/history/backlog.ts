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
  /**
   * Drops what is more than may wait: 20,000 rows, or payloads of 32 Mi characters. It is the newest rows of the user who
   * has most of them waiting, so that nobody's calls can push those of others, or earlier ones of their own, out of the
   * history.
   *
   * @returns how many.
   */
  trim(): number;
  clear(): void;
}

/** What waits: of all users, or of one. */
interface Size {
  rows: number;
  characters: number;
}

export function createBacklog(): Backlog {
  let rows: ExecutionRow[] = [];
  const total: Size = { rows: 0, characters: 0 };
  const users = new Map<string, Size>();

  function count(row: ExecutionRow, sign: 1 | -1): void {
    const own = users.get(row.userId) ?? { rows: 0, characters: 0 };
    for (const size of [total, own]) {
      size.rows += sign;
      size.characters += sign * weightOf(row);
    }
    if (own.rows > 0) users.set(row.userId, own);
    else users.delete(row.userId);
  }

  /** Drops a row of the user who has most of something: the newest, or where it is about payloads the newest with one. */
  function dropOf(what: keyof Size): void {
    let [heaviest, most] = ['', 0];
    // Of equals, whoever came last.
    for (const [user, size] of users) if (size[what] >= most) [heaviest, most] = [user, size[what]];
    const index = rows.findLastIndex(
      (row) => row.userId === heaviest && (what === 'rows' || weightOf(row) > 0),
    );
    for (const row of rows.splice(index, 1)) count(row, -1);
  }

  return {
    get length() {
      return rows.length;
    },
    push(row) {
      rows.push(row);
      count(row, 1);
    },
    take() {
      let taken = 0;
      let weight = 0;
      for (const row of rows) {
        if (taken === CHUNK_ROWS || weight >= CHUNK_CHARACTERS) break;
        weight += weightOf(row);
        taken++;
      }
      const oldest = rows.splice(0, taken);
      for (const row of oldest) count(row, -1);
      return oldest;
    },
    putBack(chunk) {
      rows = [...chunk, ...rows];
      for (const row of chunk) count(row, 1);
    },
    trim() {
      const before = rows.length;
      while (total.rows > MAX_ROWS) dropOf('rows');
      while (total.characters > MAX_CHARACTERS) dropOf('characters');
      return before - rows.length;
    },
    clear() {
      rows = [];
      users.clear();
      total.rows = 0;
      total.characters = 0;
    },
  };
}

function weightOf({ arguments: input, output }: ExecutionRow): number {
  return (input?.length ?? 0) + (output?.length ?? 0);
}

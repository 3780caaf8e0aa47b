import { findPending } from './migrate.ts';
import type { Queryable } from './pool.ts';

/** How long the answer to a check is waited for at most, in milliseconds. */
const LIMIT_MS = 2000;

/** So recent an answer to anything tells that the database can be reached, in milliseconds. */
const RECENT_MS = 1000;

const NOT_APPLIED = "the database's migrations are not applied: run npm run migrate";

/**
 * Makes what looks whether the database answers and has the current schema. While it answers others, it is not asked:
 * under a load for which every connection is busy, a check that waits in line would make a service unready that works.
 */
export function createCheck(readerUntil: (deadline: number) => Queryable, timeoutMs: number) {
  let isCurrent = false;
  let answeredAt = -Infinity;
  let running: Promise<void> | undefined;

  async function look(): Promise<void> {
    const deadline = performance.now() + Math.min(timeoutMs, LIMIT_MS);
    const pending = await findPending(readerUntil(deadline)).catch((error: unknown) => {
      throw isMissingTable(error) ? new Error(NOT_APPLIED, { cause: error }) : error;
    });
    if (pending.length > 0) throw new Error(NOT_APPLIED);
    isCurrent = true;
    answeredAt = performance.now();
  }

  return {
    /** From now on it looks each time. */
    forget() {
      isCurrent = false;
    },
    sawAnswer() {
      answeredAt = performance.now();
    },
    async run(): Promise<void> {
      if (isCurrent && performance.now() - answeredAt < RECENT_MS) return;
      running ??= look().finally(() => {
        running = undefined;
      });
      await running;
    },
  };
}

function isMissingTable(error: unknown): boolean {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error && 'code' in cause && cause.code === '42P01';
}

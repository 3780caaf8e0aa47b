import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../../db/database.ts';
import type { Encryption } from '../../encryption.ts';
import { type Claim, endRun, freeKey } from './idempotency-store.ts';
import type { Ending } from './run-claimed.ts';
import { sealOutcome } from './stored-outcome.ts';

/** Sees to it that how runs ended is stored, also where the database is away for a while. */
export interface Endings {
  /**
   * Stores how a run ended, or gives the key back where nothing can have run: at once, or as soon as the database takes it.
   * Never rejects. It is given up when the key has passed, when `close` is called, or after some attempts where too much
   * waits already: the run is one that was cut off then to those who ask later.
   */
  store(claim: Claim, createdAt: number, ending: Pick<Ending, 'outcome'>): Promise<void>;
  /** What waits is tried at once, and then at short pauses: there is not much time left. */
  hurry(): void;
  /** Gives up what waits. */
  close(): void;
}

interface EndingsContext {
  readonly database: Database;
  readonly encryption: Encryption;
  readonly logFault: (error: unknown) => void;
  /** Keys taken before or at this time count no more, in milliseconds since 1970. */
  readonly oldUntil: () => number;
}

/** Pauses between two attempts; the second is the longest. */
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [100, 5000];

/** After so many attempts it is a fault that the log hears of, and one that takes room. */
const QUICK_ATTEMPTS = 3;

/** What may wait for the database to come back: so many endings, and of so many characters together. */
const [MAX_WAITING, MAX_WAITING_CHARACTERS] = [1000, 64 * 1024 * 1024];

export function createEndings({ database, encryption, logFault, oldUntil }: EndingsContext): Endings {
  const hurrying = new AbortController();
  const closing = new AbortController();
  setMaxListeners(0, hurrying.signal, closing.signal);
  const waiting = { count: 0, characters: 0 };

  /** Its end is as good as its signal's abort. */
  async function pauseFor(milliseconds: number): Promise<void> {
    const isHurried = hurrying.signal.aborted;
    const { signal } = isHurried ? closing : hurrying;
    const pause = isHurried ? FIRST_PAUSE_MS : milliseconds;
    await sleep(pause, undefined, { signal }).catch(() => {});
  }

  /** @returns the last error, undefined once it is stored. */
  async function tryUntilStored(
    write: () => Promise<void>,
    size: number,
    createdAt: number,
  ): Promise<unknown> {
    let isWaiting = false;
    try {
      for (let attempt = 1, pause = FIRST_PAUSE_MS; ; attempt++, pause *= 2) {
        try {
          await write();
          return undefined;
        } catch (error) {
          if (closing.signal.aborted || createdAt <= oldUntil()) return error;
          if (attempt === QUICK_ATTEMPTS) {
            const isFull = waiting.count >= MAX_WAITING || waiting.characters + size > MAX_WAITING_CHARACTERS;
            if (isFull) return error;
            // Once: an outage is long, and there may be many.
            if (waiting.count === 0) logFault(error);
            isWaiting = true;
            waiting.count++;
            waiting.characters += size;
          }
        }
        await pauseFor(Math.min(pause, LONGEST_PAUSE_MS));
      }
    } finally {
      if (isWaiting) {
        waiting.count--;
        waiting.characters -= size;
      }
    }
  }

  return {
    async store(claim, createdAt, { outcome }) {
      try {
        const result = outcome && sealOutcome(encryption, claim, outcome);
        const write = () =>
          database.transaction((transaction) =>
            result === undefined
              ? freeKey(database, transaction, claim)
              : endRun(database, transaction, claim, result),
          );
        // Those who share it hold the outcome itself as well.
        const size = (result?.length ?? 0) + (outcome?.output.length ?? 0);
        const error = await tryUntilStored(write, size, createdAt);
        if (error !== undefined) {
          logFault(new Error('the ending of a run with an idempotency key was not stored', { cause: error }));
        }
      } catch (error) {
        logFault(error);
      }
    },
    hurry: () => hurrying.abort(),
    close: () => {
      hurrying.abort();
      closing.abort();
    },
  };
}

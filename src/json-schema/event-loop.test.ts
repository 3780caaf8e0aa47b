import { monitorEventLoopDelay } from 'node:perf_hooks';
import { describe, expect } from 'vitest';
import type { JsonValue } from '../json.ts';
import { takeTurns } from '../take-turns.ts';
import { compileSchema, SchemaError } from './compile-schema.ts';
import { dataNote, testWithData } from './data-for-tests.ts';
import { bombs, type Row, slowPatterns } from './hostile-rows-for-tests.ts';

/** Milliseconds in which each row must be refused or answered. */
const LIMIT = 200;

/** Milliseconds that the event loop may be late, but for one time in a hundred. */
const DELAY = 20;

/** How often all rows are gone through, at most. */
const ROUNDS = 12;

/** Bytes of JSON beyond which the service refuses a definition before it looks into it (MAX_DEFINITION_BYTES). */
const DEFINITION_BYTES = 256 * 1024;

/**
 * Compiles a schema as for a new definition, then checks each instance as for a call; waits for its turn before each.
 *
 * @returns the milliseconds that the longest of these took.
 */
async function answer({ schema, instances }: Row, nextTurn: () => Promise<void>): Promise<number> {
  let longest = 0;
  const timed = async <T>(work: () => T): Promise<T> => {
    await nextTurn();
    const start = performance.now();
    try {
      return work();
    } finally {
      longest = Math.max(longest, performance.now() - start);
    }
  };
  try {
    const compiled = await timed(() => compileSchema(schema));
    for (const instance of instances) await timed(() => compiled.validate(instance));
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
  }
  return longest;
}

/** Whether the service would look into it, and not refuse it for its size. */
function isDefinition(schema: JsonValue): boolean {
  try {
    return JSON.stringify(schema).length <= DEFINITION_BYTES;
  } catch {
    // It nests too deeply to be written; that it is refused for this is a part of the run.
    return true;
  }
}

describe(`published attacks leave the event loop to others${dataNote}`, () => {
  testWithData('while each is refused or answered in time', async () => {
    const rows = [...bombs(), ...slowPatterns()];
    const definitions = rows.filter(({ schema }) => isDefinition(schema));
    const others = rows.filter((row) => !definitions.includes(row));
    const fastest = new Map<string, number>();
    const nextTurn = takeTurns();
    const answerAll = async (some: readonly Row[]) => {
      for (const row of some) {
        const milliseconds = await answer(row, nextTurn);
        fastest.set(row.name, Math.min(fastest.get(row.name) ?? milliseconds, milliseconds));
      }
    };
    let quietest = Number.POSITIVE_INFINITY;
    // The machine may be busy with other things: a quiet round is what counts.
    for (let round = 0; round < ROUNDS && (round < 2 || quietest >= DELAY); round++) {
      await answerAll(others);
      const delay = monitorEventLoopDelay({ resolution: 1 });
      delay.enable();
      await answerAll(definitions);
      delay.disable();
      quietest = Math.min(quietest, delay.percentile(99) / 1e6);
    }
    expect([...fastest].filter(([, milliseconds]) => milliseconds > LIMIT)).toEqual([]);
    expect(quietest).toBeLessThan(DELAY);
  });
});

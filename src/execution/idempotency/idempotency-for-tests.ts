import { setMaxListeners } from 'node:events';
import type { Database } from '../../db/database.ts';
import { createEncryption } from '../../encryption.ts';
import type { CallOutcome } from '../call.ts';
import { createIdempotency, type IdempotencyContext, type KeyedCall } from './idempotency.ts';

export const HOUR_MS = 60 * 60 * 1000;

/** The same in every process of a test. */
export const testEncryption = () => createEncryption([Buffer.alloc(32, 7)]);

/** What one process has. `faults` holds what was logged; close it by scope. */
export function testIdempotency(
  database: Database,
  {
    leaseMs,
    renewMs,
    closeMs,
    storeMs,
    ...overrides
  }: Partial<IdempotencyContext & Record<TimingName, number>> = {},
) {
  const faults: unknown[] = [];
  const context = {
    database,
    encryption: testEncryption(),
    now: Date.now,
    logFault: (error: unknown) => faults.push(error),
    ...overrides,
  };
  const timing = { leaseMs, renewMs, closeMs, storeMs };
  const given = Object.fromEntries(Object.entries(timing).filter(([, value]) => value !== undefined));
  const idempotency = createIdempotency(context, given);
  return { ...idempotency, faults, [Symbol.asyncDispose]: idempotency.close };
}

type TimingName = 'leaseMs' | 'renewMs' | 'closeMs' | 'storeMs';

/** A call with a key; what is not given is the same for all. */
export function keyedCall(overrides: Partial<KeyedCall> = {}): KeyedCall {
  return { userId: 'alice', toolId: 'tool-1', key: 'key-1', argumentsHash: 'a', ...overrides };
}

export const success = (output: string): CallOutcome => ({ status: 'success', output });

/** A run that counts how often it began and ends when told to. */
export function controlledRun() {
  let begin = () => {};
  let end: (outcome: CallOutcome) => void = () => {};
  let fail: (error: unknown) => void = () => {};
  const began = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const ended = new Promise<CallOutcome>((resolve, reject) => {
    [end, fail] = [resolve, reject];
  });
  const controlled = {
    count: 0,
    began,
    end: (outcome: CallOutcome) => end(outcome),
    fail: (error: unknown) => fail(error),
    run: () => {
      controlled.count++;
      begin();
      return ended;
    },
  };
  return controlled;
}

/** A signal that never aborts. */
export const never = new AbortController().signal;
// Many wait under it at once.
setMaxListeners(0, never);

/** The rows of all keys. */
export function storedKeys({ read, tables }: Database) {
  return read.select().from(tables.idempotencyKeys);
}

import { describe, expect, it } from 'vitest';
import { cutBatch, judgeBatch } from './batch.ts';
import type { PendingEvent } from './outbox-store.ts';

const event = (sequence: number, type: string, subject = `s${sequence}`): PendingEvent => ({
  sequence,
  id: `id ${sequence}`,
  type,
  subject,
  payload: '{}',
  createdAt: 0,
});
const sequences = (events: readonly PendingEvent[]) => events.map(({ sequence }) => sequence);

describe('cutBatch', () => {
  const events = [event(1, 'a'), event(2, 'b'), event(3, 'b'), event(4, 'a'), event(5, 'b')];

  it('ends with the last row before one too many that is doubtful', () => {
    const isDoubtful = (type: string) => type === 'b';
    expect(sequences(cutBatch(events, { doubtfulRows: 2, isDoubtful }))).toEqual([1, 2, 3, 4]);
    expect(sequences(cutBatch(events, { doubtfulRows: 3, isDoubtful }))).toEqual([1, 2, 3, 4, 5]);
    expect(cutBatch([], { doubtfulRows: 3, isDoubtful })).toEqual([]);
  });
});

describe('judgeBatch', () => {
  it('is done with what was confirmed', () => {
    const batch = [event(1, 'a'), event(2, 'b')];
    const verdict = judgeBatch(batch, ['confirmed', 'confirmed']);
    expect(verdict).toMatchObject({ sent: batch, isUncertain: false });
    expect([...verdict.routable]).toEqual(['a', 'b']);
  });

  it('sends the later events of a subject again when an earlier one has to be', () => {
    const batch = [event(1, 'a', 's'), event(2, 'b', 't'), event(3, 'b', 's'), event(4, 'a', 'u')];
    const { sent, isUncertain } = judgeBatch(batch, ['unconfirmed', 'confirmed', 'confirmed', 'confirmed']);
    expect(sequences(sent)).toEqual([2, 4]);
    expect(isUncertain).toBe(true);
  });

  it('does not hold up other types for one without a queue, but later events of the same type', () => {
    const batch = [event(1, 'a', 's'), event(2, 'b', 's'), event(3, 'a', 's'), event(4, 'a', 't')];
    const verdict = judgeBatch(batch, ['unroutable', 'confirmed', 'confirmed', 'confirmed']);
    expect(sequences(verdict.sent)).toEqual([2, 4]);
    expect([[...verdict.unroutable], [...verdict.routable]]).toEqual([['a'], ['b']]);
  });

  it('takes what it hears nothing of for unconfirmed', () => {
    expect(judgeBatch([event(1, 'a')], [])).toMatchObject({ sent: [], isUncertain: true });
  });
});

import { describe, expect, it } from 'vitest';
import { createCancellation } from '../cancellation.ts';
import { inTurn } from './large-work.ts';

const LARGE = 1_000_000;
const { cancellation } = createCancellation();

/** Holds the event loop. */
function work(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

describe('inTurn', () => {
  it('gives the event loop to others between long pieces, in the order of arrival', async () => {
    const done: number[] = [];
    let turns = 0;
    let isOver = false;
    const count = () => {
      turns++;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    const turnsAt = await Promise.all(
      [0, 1, 2, 3, 4].map((index) =>
        inTurn(LARGE, cancellation, () => {
          work(6);
          done.push(index);
          return turns;
        }),
      ),
    );
    isOver = true;
    expect(done).toEqual([0, 1, 2, 3, 4]);
    expect(new Set(turnsAt).size).toBe(5);
  });

  it('does short pieces of one turn together', async () => {
    let turns = 0;
    let isOver = false;
    const count = () => {
      turns++;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    const turnsAt = await Promise.all(
      Array.from({ length: 20 }, () => inTurn(LARGE, cancellation, () => turns)),
    );
    isOver = true;
    expect(new Set(turnsAt).size).toBeLessThan(5);
  });

  it('does work on little at once', () => {
    let isDone = false;
    void inTurn(100, cancellation, () => {
      isDone = true;
    });
    expect(isDone).toBe(true);
  });

  it('passes on what the work gives and throws, and goes on with the next', async () => {
    const fault = new Error('a fault');
    const failing = inTurn(LARGE, cancellation, () => {
      throw fault;
    });
    const next = inTurn(LARGE, cancellation, () => 'next');
    await expect(failing).rejects.toBe(fault);
    expect(await next).toBe('next');
  });

  it('does no work that was called off while it waited, or before', async () => {
    const { cancellation: call, abort } = createCancellation();
    let isDone = false;
    const start = () =>
      inTurn(LARGE, call, () => {
        isDone = true;
      });
    const waiting = start();
    const reason = new DOMException('The time for this call is up', 'TimeoutError');
    abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await expect(start()).rejects.toBe(reason);
    expect(await inTurn(LARGE, cancellation, () => 'others go on')).toBe('others go on');
    expect(isDone).toBe(false);
  });
});

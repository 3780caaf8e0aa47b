import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createParking } from './parking.ts';

function setUp() {
  const changes: string[] = [];
  const parking = createParking({ firstParkMs: 1000, longestParkMs: 3000 }, (type, isRoutable) =>
    changes.push(`${type} ${isRoutable}`),
  );
  const learn = (routable: string[], unroutable: string[]) => parking.learn({ routable, unroutable });
  /** What is parked after some time. */
  const parkedAfter = (ms: number) => {
    vi.advanceTimersByTime(ms);
    parking.release();
    return ['a', 'b'].filter(parking.isParked);
  };
  return { parking, changes, learn, parkedAfter };
}

describe('parking', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance', 'setTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  it('lets all go together, after pauses that double up to the longest', () => {
    const { learn, parkedAfter } = setUp();
    learn([], ['a']);
    expect(parkedAfter(900)).toEqual(['a']);
    learn([], ['b']);
    expect(parkedAfter(100)).toEqual([]);
    learn([], ['a', 'b']);
    expect(parkedAfter(1999)).toEqual(['a', 'b']);
    expect(parkedAfter(1)).toEqual([]);
    learn([], ['a', 'b']);
    expect(parkedAfter(2999)).toEqual(['a', 'b']);
    expect(parkedAfter(1)).toEqual([]);
    learn([], ['a', 'b']);
    expect(parkedAfter(3000)).toEqual([]);
  });

  it('tries the others soon when one has a queue at last', () => {
    const { learn, parkedAfter, changes } = setUp();
    learn([], ['a', 'b']);
    parkedAfter(1000);
    learn([], ['a', 'b']);
    parkedAfter(2000);
    learn(['a'], ['b']);
    expect(parkedAfter(999)).toEqual(['b']);
    expect(parkedAfter(1)).toEqual([]);
    expect(changes).toEqual(['a false', 'b false', 'a true']);
  });

  it('knows what is in doubt: all that was not seen to find a queue last', () => {
    const { parking, learn } = setUp();
    expect(parking.isDoubtful('a')).toBe(true);
    learn(['a'], []);
    expect(parking.isDoubtful('a')).toBe(false);
    learn([], ['a']);
    expect(parking.isDoubtful('a')).toBe(true);
  });

  it('knows for how long a type has had no queue, attempts included', () => {
    const { parking, learn, parkedAfter } = setUp();
    learn([], ['a']);
    parkedAfter(5000);
    learn([], ['a', 'b']);
    expect(parking.unroutableFor(5000)).toEqual(['a']);
    expect(parking.unroutableFor(0)).toEqual(['a', 'b']);
    learn(['a'], []);
    expect(parking.unroutableFor(0)).toEqual(['b']);
  });

  it('does not count on what it has not tried lately, which another process may know better', () => {
    const { parking, learn, parkedAfter, changes } = setUp();
    learn([], ['a']);
    for (let round = 0; round < 4; round++) {
      parkedAfter(5000);
      learn([], ['a']);
    }
    parkedAfter(6000);
    expect(parking.unroutableFor(20_000)).toEqual(['a']);
    parkedAfter(1);
    expect(parking.unroutableFor(0)).toEqual([]);
    // It may have had a queue meanwhile.
    learn([], ['a']);
    expect(parking.unroutableFor(1)).toEqual([]);
    parkedAfter(5000);
    expect(parking.unroutableFor(5000)).toEqual(['a']);
    expect(changes).toEqual(['a false']);
  });
});

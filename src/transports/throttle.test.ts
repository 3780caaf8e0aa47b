import { describe, expect, it } from 'vitest';
import type { Caller } from '../caller.ts';
import type { RateLimit } from '../config.ts';
import type { Authentication } from './authenticate.ts';
import { createLocalWindow } from './throttle/local-window.ts';
import { createThrottle, type Throttle } from './throttle.ts';

const ANONYMOUS: Authentication = { kind: 'anonymous' };
const REFUSED: Authentication = { kind: 'refused', refusal: { detail: 'no' } };
const MINUTE = 60_000;
const DAY = 86_400_000;

const caller = (caller: Caller): Authentication => ({ kind: 'caller', caller });
const user = (userId: string) => caller({ kind: 'user', userId, isStaff: false });

function start(limits: { user?: RateLimit; anonymous?: RateLimit }) {
  const clock = { now: Date.UTC(2030, 0, 1) };
  const { user = null, anonymous = null } = limits;
  const now = () => clock.now;
  const throttle = createThrottle({
    users: createLocalWindow(user, now),
    addresses: createLocalWindow(anonymous, now),
  });
  return { clock, take: (...request: Parameters<Throttle['take']>) => Number(throttle.take(...request)) };
}

describe('the throttle', () => {
  it('counts each user apart, wherever they are', () => {
    const { take } = start({ user: { count: 2, windowMs: MINUTE } });
    expect([take(user('a'), '1.1.1.1'), take(user('a'), '2.2.2.2'), take(user('b'), '1.1.1.1')]).toEqual([
      0, 0, 0,
    ]);
    expect(take(user('a'), '3.3.3.3')).toBe(60);
    expect(take(user('b'), '1.1.1.1')).toBe(0);
  });

  it('counts who has no valid credentials by address, and apart from users', () => {
    const { take } = start({
      user: { count: 1, windowMs: MINUTE },
      anonymous: { count: 2, windowMs: MINUTE },
    });
    expect([take(ANONYMOUS, '1.1.1.1'), take(REFUSED, '1.1.1.1')]).toEqual([0, 0]);
    expect([take(ANONYMOUS, '1.1.1.1'), take(REFUSED, '1.1.1.1')]).toEqual([60, 60]);
    expect([take(ANONYMOUS, '1.1.1.2'), take(user('a'), '1.1.1.1')]).toEqual([0, 0]);
  });

  it('takes a network of IPv6 for one client, and an IPv4 address for itself in either form', () => {
    const { take } = start({ anonymous: { count: 1, windowMs: MINUTE } });
    const first = ['2001:db8:1:2::1', '2001:db8:1:3::1', 'fe80::1', '::1', '1.1.1.1', '2001:db8::'];
    expect(first.map((address) => take(ANONYMOUS, address))).toEqual(first.map(() => 0));
    const same = [
      ...['2001:db8:1:2::2', '2001:db8:1:2:3:4:5:6', '2001:db8:1:2:ffff::', '2001:db8:1:3:0:0:0:2'],
      ...['fe80::2%eth0', '::2', '::ffff:1.1.1.1', '2001:db8:0:0:1::'],
    ];
    expect(same.map((address) => take(ANONYMOUS, address))).toEqual(same.map(() => 60));
  });

  it('does not limit services of the platform', () => {
    const limit = { count: 1, windowMs: DAY };
    const { take } = start({ user: limit, anonymous: limit });
    for (const userId of [null, 'a']) {
      const service = caller({ kind: 'service', name: 'one', userId });
      const trusted = caller({ kind: 'trusted-network', userId });
      expect([service, service, trusted, trusted].map((who) => take(who, '1.1.1.1'))).toEqual([0, 0, 0, 0]);
    }
    expect(take(user('a'), '1.1.1.1')).toBe(0);
  });

  it('does not limit at all where a limit is off', () => {
    const { take } = start({});
    for (let index = 0; index < 1000; index++) {
      expect(take(user('a'), '1.1.1.1') + take(ANONYMOUS, '1.1.1.1')).toBe(0);
    }
  });

  it('slides: what was long enough ago counts no more, and the rest still does', () => {
    const { clock, take } = start({ user: { count: 3, windowMs: MINUTE } });
    const a = user('a');
    expect(take(a, '')).toBe(0);
    clock.now += 40_000;
    expect([take(a, ''), take(a, '')]).toEqual([0, 0]);
    expect(take(a, '')).toBe(20);
    clock.now += 20_000;
    expect([take(a, ''), take(a, '')]).toEqual([0, 40]);
    clock.now += 40_000;
    expect([take(a, ''), take(a, ''), take(a, '')]).toEqual([0, 0, 20]);
  });

  it('lets a client in after the seconds that it was told, however long it asked in vain', () => {
    for (const windowMs of [1000, MINUTE, 60 * MINUTE, DAY]) {
      const { clock, take } = start({ user: { count: 5, windowMs } });
      for (let round = 0; round < 20; round++) {
        clock.now += windowMs / 7.3;
        const seconds = take(user('a'), '');
        if (seconds === 0) continue;
        expect(seconds).toBeGreaterThanOrEqual(1);
        expect(seconds).toBeLessThanOrEqual(windowMs / 1000);
        expect(Number.isInteger(seconds)).toBe(true);
        clock.now += seconds * 1000;
        expect(take(user('a'), '')).toBe(0);
      }
    }
  });

  it('never lets more than the limit through in a window, to the accuracy of a step', () => {
    const limit = { count: 100, windowMs: MINUTE };
    const { clock, take } = start({ user: limit });
    const passed: number[] = [];
    let seed = 1;
    for (let index = 0; index < 5000; index++) {
      seed = (seed * 48_271) % 2_147_483_647;
      clock.now += seed % 200;
      if (take(user('a'), '') === 0) passed.push(clock.now);
    }
    expect(passed.length).toBeGreaterThan(limit.count);
    const step = limit.windowMs / 60;
    const tooMany = passed.filter((time, index) => {
      const earlier = passed[index - limit.count];
      return earlier !== undefined && time - earlier < limit.windowMs - step;
    });
    expect(tooMany).toEqual([]);
  });

  it('remembers no more clients than it can hold, and forgets those first that were quiet for the longest', () => {
    const { take } = start({ anonymous: { count: 1, windowMs: DAY } });
    const address = (index: number) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
    take(ANONYMOUS, address(0));
    take(ANONYMOUS, address(1));
    for (let index = 2; index < 100_000; index++) take(ANONYMOUS, address(index));
    expect(take(ANONYMOUS, address(0))).toBeGreaterThan(0);
    take(ANONYMOUS, address(100_000));
    expect(take(ANONYMOUS, address(0))).toBeGreaterThan(0);
    expect(take(ANONYMOUS, address(1))).toBe(0);
  });
});

import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { isMissing } from '../../testing/services.ts';
import type { Authentication } from '../authenticate.ts';
import { createThrottle } from '../throttle.ts';
import { createLocalWindow } from './local-window.ts';
import { connectToRedis, MINUTE, newPrefix, openWindows } from './redis-for-tests.ts';
import { WINDOW_SCRIPT } from './redis-script.ts';

const ANONYMOUS: Authentication = { kind: 'anonymous' };
const user = (userId: string): Authentication => ({
  kind: 'caller',
  caller: { kind: 'user', userId, isStaff: false },
});

describe.skipIf(await isMissing('redis'))('counts in Redis', () => {
  it('are one for all replicas, and each user and address has its own', async () => {
    const options = { prefix: newPrefix(), anonymous: { count: 2, windowMs: MINUTE } };
    using first = await openWindows(options);
    using second = await openWindows(options);
    const [one, two] = [createThrottle(first), createThrottle(second)];
    const userId = randomUUID();
    for (let count = 0; count < 5; count++) {
      expect(await (count % 2 ? one : two).take(user(userId), '1.1.1.1')).toBe(0);
    }
    for (const throttle of [one, two, one]) {
      const seconds = await throttle.take(user(userId), '1.1.1.1');
      expect([seconds >= 59, seconds <= 60]).toEqual([true, true]);
    }
    expect(await one.take(user(randomUUID()), '1.1.1.1')).toBe(0);
    expect(await one.take(ANONYMOUS, '2001:db8::1')).toBe(0);
    expect(await two.take(ANONYMOUS, '2001:db8::2')).toBe(0);
    expect(await one.take(ANONYMOUS, '2001:db8::3')).toBeGreaterThan(0);
    expect(await two.take(ANONYMOUS, '1.1.1.1')).toBe(0);
    expect([first.state, second.state, first.log, second.log]).toEqual(['connected', 'connected', [], []]);
  });

  it('admit exactly as many as the limit says of whatever comes at once', async () => {
    const options = { prefix: newPrefix(), user: { count: 100, windowMs: 60 * MINUTE } };
    using first = await openWindows(options);
    using second = await openWindows(options);
    const answers = await Promise.all(
      Array.from({ length: 1000 }, (_, index) => (index % 2 ? first : second).users.take('a')),
    );
    expect(answers.filter((seconds) => seconds === 0)).toHaveLength(100);
    expect(Math.min(...answers.filter((seconds) => seconds > 0))).toBeGreaterThanOrEqual(3539);
  });

  it('slide', async () => {
    using windows = await openWindows({ user: { count: 3, windowMs: 1000 } });
    const start = performance.now();
    const take = () => windows.users.take('a');
    expect([await take(), await take(), await take(), await take()]).toEqual([0, 0, 0, 1]);
    await expect.poll(take, { interval: 5, timeout: 5000 }).toBe(0);
    expect(performance.now() - start).toBeGreaterThanOrEqual(1000 - 1000 / 60);
  });

  it('are those of the local window, whatever the times', async () => {
    using redis = await connectToRedis();
    // The same script by a clock of ours, in microseconds, which the local window has rounded alike.
    const script = WINDOW_SCRIPT.replace("redis.call('TIME')", '{ARGV[3], ARGV[4]}');
    expect(script).not.toBe(WINDOW_SCRIPT);
    let seed = 7;
    const random = (limit: number) => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % limit;
    };
    for (const windowMs of [1000, MINUTE, 60 * MINUTE, 86_400_000]) {
      const key = `${newPrefix()}:${windowMs}`;
      const clock = { now: Date.UTC(2030, 0, 1) + random(windowMs) };
      const local = createLocalWindow({ count: 20, windowMs }, () => clock.now);
      const expected: number[] = [];
      const actual: number[] = [];
      for (let index = 0; index < 1000; index++) {
        clock.now += random(50) === 0 ? random(3 * windowMs) : random(windowMs / 30);
        const time = [Math.floor(clock.now / 1000), (clock.now % 1000) * 1000].map(String);
        const values = ['20', String(windowMs), ...time];
        actual.push(Number(await redis.eval(script, { keys: [key], arguments: values })));
        expected.push(local.take('a'));
      }
      expect(actual).toEqual(expected);
      expect(new Set(expected).size).toBeGreaterThan(1);
      expect(await redis.hLen(key)).toBeLessThanOrEqual(62);
      await redis.del(key);
    }
  }, 30_000);

  it('begin anew when the clock of Redis was set back by more than the window, and never ask for more than it', async () => {
    using redis = await connectToRedis();
    const script = WINDOW_SCRIPT.replace("redis.call('TIME')", '{ARGV[3], 0}');
    const key = newPrefix();
    const take = (seconds: number) =>
      redis.eval(script, { keys: [key], arguments: ['2', '60000', String(seconds)] });
    expect([await take(10_000), await take(10_000), await take(10_000)]).toEqual([0, 0, 60]);
    expect(await take(9970)).toBe(60);
    expect([await take(5000), await take(5000), await take(5000)]).toEqual([0, 0, 60]);
    await redis.del(key);
  });

  it('go with their window, and have names of harmless letters whatever an address is', async () => {
    const prefix = newPrefix();
    using redis = await connectToRedis();
    using windows = await openWindows({ prefix, anonymous: { count: 9, windowMs: MINUTE } });
    const throttle = createThrottle(windows);
    const strange = ['', '*', 'a b\r\nFLUSHALL\r\n', '\u0000', '💥'.repeat(4000), 'fe80::1%eth0', '1.1.1.1'];
    for (const address of strange) expect(await throttle.take(ANONYMOUS, address)).toBe(0);
    await throttle.take(user(randomUUID()), '');
    const keys = await redis.keys(`${prefix}*`);
    const rest = keys.map((key) => key.slice(prefix.length));
    const ours = rest.filter((name) => name !== ':probe:1000:probe');
    expect(ours).toHaveLength(strange.length + 1);
    for (const name of ours) expect(name).toMatch(/^:(?:address|user):60000:[\w.-]{1,64}$/);
    for (const key of keys) {
      const left = await redis.pTTL(key);
      expect([left > 0, left <= MINUTE]).toEqual([true, true]);
    }
  });

  it('are asked for nothing where a limit is off', async () => {
    using windows = await openWindows({ user: null, anonymous: null });
    expect([windows.users.take('a'), windows.addresses.take('a')]).toEqual([0, 0]);
  });

  it('go on in the process once they are closed', async () => {
    const windows = await openWindows({ user: { count: 2, windowMs: MINUTE } });
    expect(await windows.users.take('a')).toBe(0);
    const underWay = windows.users.take('a');
    windows.close();
    windows.close();
    expect(await underWay).toBe(0);
    expect(await windows.users.take('a')).toBeGreaterThanOrEqual(59);
    expect([windows.state, windows.log]).toEqual(['away', []]);
  });
});

it('a URL that cannot be used is an error at once', async () => {
  await expect(openWindows({ url: 'redis://127.0.0.1/no-number' })).rejects.toThrow(TypeError);
  await expect(openWindows({ url: 'redis://:%E0%A4%A@127.0.0.1' })).rejects.toThrow(URIError);
});

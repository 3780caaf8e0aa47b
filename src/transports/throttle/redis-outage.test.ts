import { describe, expect, it } from 'vitest';
import { isMissing, serviceUrl } from '../../testing/services.ts';
import { type ProxyMode, startTcpProxy } from '../../testing/tcp-proxy.ts';
import { MINUTE, newPrefix, openWindows, startFakeRedis } from './redis-for-tests.ts';

const AWAY = 'Redis is away: each process counts rate limits for itself meanwhile';
const BACK = 'Redis is back: rate limits are counted for all replicas again';
const PASSWORD = 'the-password-of-this-test';

async function startProxy() {
  return startTcpProxy(Number(new URL(serviceUrl('redis')).port) || 6379);
}

/** Longer than a process is away from its event loop on a busy machine; a request waits for 200 ms at most. */
const BOUND_MS = 1000;

async function timed<T>(work: () => T | Promise<T>): Promise<[T, number]> {
  const start = performance.now();
  const result = await work();
  return [result, performance.now() - start];
}

describe.skipIf(await isMissing('redis'))('while Redis is away', () => {
  it.each<ProxyMode>(['refuse', 'reset', 'stall', 'stall-answers', 'swallow'])(
    'by %s, the process counts, from where it was, and no request waits but the first',
    async (mode) => {
      await using proxy = await startProxy();
      const url = `redis://127.0.0.1:${proxy.port}`;
      using windows = await openWindows({ url });
      const take = () => windows.users.take('a');
      expect([await take(), await take()]).toEqual([0, 0]);
      await proxy.setMode(mode);
      const [first, waited] = await timed(take);
      expect(first).toBe(0);
      expect(waited).toBeLessThan(BOUND_MS);
      expect(windows.state).toBe('away');
      const [rest, waitedMore] = await timed(async () => [await take(), await take(), await take()]);
      expect(rest.map(Math.sign)).toEqual([0, 0, 1]);
      expect(waitedMore).toBeLessThan(20);
      expect(windows.log).toMatchObject([{ level: 'warn', message: AWAY }]);

      await proxy.setMode('pass');
      await windows.becomes('connected');
      expect(windows.log).toMatchObject([{ message: AWAY }, { level: 'info', message: BACK }]);
      // What Redis has counted: the two before, and the one whose answer was lost, if it came so far.
      const admitted: number[] = [];
      for (let count = 0; count < 4; count++) admitted.push(Math.sign(Number(await take())));
      expect([[0, 0, 0, 1].join(), [0, 0, 1, 1].join()]).toContain(admitted.join());
    },
  );

  it('starts, and counts for all once Redis is there', async () => {
    await using proxy = await startProxy();
    for (const mode of ['refuse', 'stall'] as const) {
      await proxy.setMode(mode);
      const url = `redis://127.0.0.1:${proxy.port}`;
      const [windows, waited] = await timed(() => openWindows({ url, prefix: newPrefix() }));
      using _ = windows;
      expect(waited).toBeLessThan(2000);
      expect(windows.state).toBe('away');
      expect(await windows.users.take('a')).toBe(0);
      await proxy.setMode('pass');
      await windows.becomes('connected');
      expect(windows.log.map(({ message }) => message)).toEqual([AWAY, BACK]);
    }
  });

  it('many requests at once wait for it together, and are counted once each', async () => {
    await using proxy = await startProxy();
    using windows = await openWindows({
      url: `redis://127.0.0.1:${proxy.port}`,
      user: { count: 50, windowMs: MINUTE },
    });
    await windows.users.take('a');
    await proxy.setMode('stall');
    const [answers, waited] = await timed(() =>
      Promise.all(Array.from({ length: 500 }, () => windows.users.take('a'))),
    );
    expect(waited).toBeLessThan(BOUND_MS);
    expect(answers.filter((seconds) => seconds === 0)).toHaveLength(49);
  });

  it('a Redis that is slow counts as away', async () => {
    await using proxy = await startProxy();
    proxy.setDelay(300);
    using windows = await openWindows({ url: `redis://127.0.0.1:${proxy.port}` });
    expect(windows.state).toBe('away');
    proxy.setDelay(0);
    await windows.becomes('connected');
    expect(windows.log.map(({ message }) => message)).toEqual([AWAY, BACK]);
  });

  it('an event loop that was blocked is not taken for an outage', async () => {
    using windows = await openWindows({ user: { count: 100, windowMs: MINUTE } });
    for (let count = 0; count < 3; count++) {
      const answer = windows.users.take('a');
      const end = performance.now() + 300;
      while (performance.now() < end);
      expect(await answer).toBe(0);
    }
    expect([windows.state, windows.log]).toEqual(['connected', []]);
  });

  it('closing takes no time, whatever is under way', async () => {
    await using proxy = await startProxy();
    const windows = await openWindows({ url: `redis://127.0.0.1:${proxy.port}` });
    await proxy.setMode('stall');
    const underWay = windows.users.take('a');
    const [, waited] = await timed(() => windows.close());
    expect([await underWay, waited < 50]).toEqual([0, true]);
    await expect.poll(() => proxy.connections, { timeout: 3000 }).toBe(0);
  });
});

describe.skipIf(await isMissing('redis'))('a Redis that lets nobody in', () => {
  it.each(['', 'somebody'])('user "%s": counts as away, and no secret is in the log', async (name) => {
    const url = new URL(serviceUrl('redis'));
    url.username = name;
    url.password = PASSWORD;
    using windows = await openWindows({ url: url.href });
    expect([windows.state, await windows.users.take('a')]).toEqual(['away', 0]);
    expect(windows.log).toEqual([{ level: 'warn', reason: name ? 'WRONGPASS' : 'ERR', message: AWAY }]);
  });
});

describe('what answers otherwise than Redis should', () => {
  it.each([
    ['an error', '-READONLY You cannot write against a read only replica.\r\n', 'READONLY'],
    ['its own words', `-${PASSWORD} is wrong\r\n`, 'SimpleError'],
    ['a text', '$2\r\nno\r\n', 'an answer of another kind'],
    ['nothing', '$-1\r\n', 'an answer of another kind'],
    ['a negative number', ':-1\r\n', 'an answer of another kind'],
    ['another protocol', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'Error'],
  ])('%s: counts as away', async (_case, wrong, reason) => {
    await using atOnce = await startFakeRedis(() => wrong);
    using never = await openWindows({ url: atOnce.url });
    expect([never.state, await never.users.take('a'), never.log]).toEqual([
      'away',
      0,
      [{ level: 'warn', reason, message: AWAY }],
    ]);

    await using later = await startFakeRedis(([, , , key]) => (key?.includes(':probe:') ? ':0\r\n' : wrong));
    using windows = await openWindows({ url: later.url });
    expect(windows.state).toBe('connected');
    expect(await windows.users.take('a')).toBe(0);
    expect(windows.log[0]).toEqual({ level: 'warn', reason, message: AWAY });
  });

  it('is told the script where it does not know it', async () => {
    await using fake = await startFakeRedis(([name]) =>
      name === 'EVALSHA' ? '-NOSCRIPT No matching script.\r\n' : ':0\r\n',
    );
    using windows = await openWindows({ url: fake.url });
    expect([await windows.users.take('a'), windows.state]).toEqual([0, 'connected']);
    const names = fake.commands.map(([name]) => name);
    expect(names.slice(-2)).toEqual(['EVALSHA', 'EVAL']);
  });
});

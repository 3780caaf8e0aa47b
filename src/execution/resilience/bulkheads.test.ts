import { getEventListeners, setMaxListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { BulkheadFull, type BulkheadLimits, createBulkheads } from './bulkheads.ts';

const ROOMY: BulkheadLimits = {
  running: 1000,
  perUser: 1000,
  perHost: 1000,
  queuedPerUser: 100_000,
  queued: 100_000,
};

/** Bulkheads whose calls are named, such as `user1 host1 first`; the first two words are their place. */
function setUp(limits: Partial<BulkheadLimits>) {
  const bulkheads = createBulkheads({ ...ROOMY, ...limits });
  const leave = new Map<string, () => void>();
  /** In the order of their start. */
  const started: string[] = [];
  async function enter(name: string, signal = new AbortController().signal): Promise<void> {
    const [user = '', host] = name.split(' ');
    const leaveIt = await bulkheads.enter({ user, host: host === '-' ? undefined : host }, signal);
    started.push(name);
    leave.set(name, leaveIt);
  }
  return {
    bulkheads,
    started,
    enter,
    /** Lets calls enter, each when it may. */
    send(...names: string[]): void {
      for (const name of names) enter(name).catch(() => started.push(`refused: ${name}`));
    },
    leave(name: string): void {
      const leaveIt = leave.get(name);
      if (leaveIt === undefined) throw new Error(`${name} has not started`);
      leaveIt();
    },
  };
}

/** Lets all that was resolved reach whoever waits for it. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Ends calls in the order of their start until none runs or waits, and tells that order. */
async function drain({ bulkheads, started, leave }: ReturnType<typeof setUp>): Promise<string[]> {
  for (let next = 0; bulkheads.running > 0; next++) {
    leave(started[next] ?? 'a call that counts as running');
    await settle();
  }
  expect(bulkheads.waiting).toBe(0);
  return started;
}

describe('room', () => {
  test('is had in the same turn by who finds it', async () => {
    const { bulkheads, enter } = setUp({});
    const entering = enter('a x');
    expect(bulkheads.running).toBe(1);
    await entering;
  });

  test.each([
    ['the process', { running: 2 }, ['a x 1', 'b y 2', 'c z 3']],
    ['a user', { perUser: 2 }, ['a x 1', 'a y 2', 'a z 3']],
    ['a host', { perHost: 2 }, ['a x 1', 'b x 2', 'c x 3']],
  ])('in %s is limited', async (_, limits, names) => {
    const calls = setUp(limits);
    calls.send(...names);
    await settle();
    expect(calls.started).toEqual(names.slice(0, 2));
    expect(calls.bulkheads.waiting).toBe(1);
    expect(await drain(calls)).toEqual(names);
  });

  test('to no host is not limited by hosts', async () => {
    const calls = setUp({ perHost: 1 });
    calls.send('a - 1', 'a - 2');
    await settle();
    expect(calls.started).toHaveLength(2);
  });

  test('is given back once, however often', async () => {
    const calls = setUp({ running: 2 });
    calls.send('a x 1', 'a x 2', 'a x 3', 'a x 4');
    await settle();
    calls.leave('a x 1');
    calls.leave('a x 1');
    await settle();
    expect(calls.started).toEqual(['a x 1', 'a x 2', 'a x 3']);
    expect(calls.bulkheads.running).toBe(2);
  });
});

describe('what is slow or full delays nothing else', () => {
  test("a slow host: neither others' calls elsewhere nor its own callers' to other hosts", async () => {
    const calls = setUp({ perHost: 2, perUser: 4 });
    calls.send('a slow 1', 'b slow 2', 'a slow 3', 'a slow 4', 'a slow 5', 'b slow 6');
    calls.send('a quick', 'c quick');
    await settle();
    expect(calls.started).toEqual(['a slow 1', 'b slow 2', 'a quick', 'c quick']);
  });

  test("a user who has filled their own places: nobody else's calls, to the same host either", async () => {
    const calls = setUp({ perUser: 2, perHost: 4 });
    for (let index = 0; index < 100; index++) calls.send(`greedy x ${index}`);
    calls.send('b x', 'c x');
    await settle();
    expect(calls.started).toEqual(['greedy x 0', 'greedy x 1', 'b x', 'c x']);
  });

  test.each([
    [4, 2],
    [5, 2],
    [1, 1],
  ])('a user whose calls last: of the %i places of a host, they have %i', async (perHost, share) => {
    const calls = setUp({ perHost });
    for (let index = 0; index < 10; index++) calls.send(`greedy x ${index}`);
    await settle();
    expect(calls.started).toHaveLength(share);
    calls.send('b x', 'greedy y', 'greedy -');
    await settle();
    const others = calls.started.slice(share);
    expect(others).toEqual(perHost === 1 ? ['greedy y', 'greedy -'] : ['b x', 'greedy y', 'greedy -']);
    expect(await drain(calls)).toHaveLength(13);
  });

  test('a call that waits for its user and then for its host passes on what it cannot use', async () => {
    const calls = setUp({ perUser: 1, perHost: 1 });
    calls.send('a x', 'b y', 'a y', 'c y', 'a z');
    await settle();
    expect(calls.started).toEqual(['a x', 'b y']);
    calls.leave('a x');
    await settle();
    // `a y` came before, but y is full.
    expect(calls.started.at(-1)).toBe('a z');
    calls.leave('b y');
    await settle();
    // `a y` came before, but a is full.
    expect(calls.started.at(-1)).toBe('c y');
    calls.leave('c y');
    calls.leave('a z');
    await settle();
    expect(calls.started.at(-1)).toBe('a y');
  });
});

describe('turns', () => {
  test('go round by user, however many calls one of them sends', async () => {
    const calls = setUp({ running: 1 });
    for (let index = 0; index < 1000; index++) calls.send(`greedy x ${index}`);
    calls.send('b y 1', 'b y 2', 'c x 1');
    await settle();
    expect((await drain(calls)).slice(0, 7)).toEqual([
      'greedy x 0',
      'greedy x 1',
      'b y 1',
      'c x 1',
      'greedy x 2',
      'b y 2',
      'greedy x 3',
    ]);
  });

  test('go round by host within a user, and by arrival within both', async () => {
    const calls = setUp({ perUser: 1 });
    calls.send('a x 1', 'a x 2', 'a x 3', 'a y 1', 'a y 2', 'a - 1');
    await settle();
    expect(await drain(calls)).toEqual(['a x 1', 'a x 2', 'a y 1', 'a - 1', 'a x 3', 'a y 2']);
  });

  test('go round by user at a full host', async () => {
    const calls = setUp({ perHost: 1 });
    calls.send('a x 1', 'a x 2', 'a x 3', 'b x 1', 'b x 2', 'c x 1');
    await settle();
    expect(await drain(calls)).toEqual(['a x 1', 'a x 2', 'b x 1', 'c x 1', 'a x 3', 'b x 2']);
  });

  test("go round by user when the process is full, however many hosts' shares one of them fills", async () => {
    const calls = setUp({ running: 4, perHost: 2 });
    calls.send('a w 1', 'a x 1', 'a y 1', 'a z 1', 'a w 2', 'a x 2', 'a y 2', 'a z 2', 'b v 1', 'b u 1');
    await settle();
    expect((await drain(calls)).slice(4, 8)).toEqual(['b v 1', 'a w 2', 'b u 1', 'a x 2']);
  });

  test('go round by user at a full host, also to those who have all of their share', async () => {
    const calls = setUp({ perHost: 4 });
    calls.send('a x 1', 'a x 2', 'a x 3', 'a x 4', 'b x 1', 'c x 1', 'b x 2', 'd x 1');
    await settle();
    expect(calls.started).toEqual(['a x 1', 'a x 2', 'b x 1', 'c x 1']);
    calls.leave('a x 1');
    await settle();
    expect(calls.started.at(-1)).toBe('b x 2');
    calls.leave('c x 1');
    await settle();
    expect(calls.started.at(-1)).toBe('d x 1');
    calls.leave('b x 1');
    await settle();
    expect(calls.started.at(-1)).toBe('a x 3');
  });

  test('are not lost to calls that arrive later', async () => {
    const calls = setUp({ running: 1 });
    calls.send('a x 0', 'b y');
    await settle();
    for (let index = 0; index < 3; index++) {
      calls.send(`a x ${index + 1}`);
      calls.leave(calls.started.at(-1) ?? '');
      await settle();
    }
    expect(calls.started.slice(0, 2)).toEqual(['a x 0', 'b y']);
  });

  test('are not lost to calls that arrive later at a full host', async () => {
    const calls = setUp({ perHost: 1 });
    calls.send('a x', 'b y', 'c x');
    await settle();
    calls.leave('b y');
    calls.send('d x');
    calls.leave('a x');
    await settle();
    expect(calls.started).toEqual(['a x', 'b y', 'c x']);
  });
});

describe('waiting', () => {
  test("is refused at once when the user's queue is full, to that user alone", async () => {
    const calls = setUp({ perUser: 1, queuedPerUser: 1 });
    calls.send('a x 1');
    const second = calls.enter('a x 2');
    await expect(calls.enter('a y 3')).rejects.toBeInstanceOf(BulkheadFull);
    await calls.enter('b x 1');
    calls.leave('a x 1');
    await second;
  });

  test('is refused to all when too many calls wait', async () => {
    const calls = setUp({ running: 1, queued: 2 });
    calls.send('a x', 'b x', 'c x');
    await expect(calls.enter('d x')).rejects.toBeInstanceOf(BulkheadFull);
    expect(await drain(calls)).toEqual(['a x', 'b x', 'c x']);
  });

  test('ends with the reason of the signal', async () => {
    const calls = setUp({ running: 1 });
    calls.send('a x 1');
    const reason = new Error('gone');
    await expect(calls.enter('a x 2', AbortSignal.abort(reason))).rejects.toBe(reason);
    const leaver = new AbortController();
    const waits = calls.enter('a x 3', leaver.signal);
    expect(calls.bulkheads.waiting).toBe(1);
    leaver.abort(reason);
    expect(calls.bulkheads.waiting).toBe(0);
    await expect(waits).rejects.toBe(reason);
    calls.leave('a x 1');
    expect(calls.bulkheads.running).toBe(0);
  });

  test('leaves nothing behind once all have left: no listener, no entry', async () => {
    const leaver = new AbortController();
    const stayer = new AbortController();
    setMaxListeners(0, leaver.signal, stayer.signal);
    const bulkheads = createBulkheads({ ...ROOMY, running: 2, perUser: 1 });
    const { result: calls, entries } = recordEntries(() =>
      Array.from({ length: 60 }, (_, index) => {
        const place = { user: `user${index % 7}`, host: index % 5 === 0 ? undefined : `host${index % 11}` };
        const { signal } = index % 3 === 0 ? leaver : stayer;
        return bulkheads.enter(place, signal).then(
          (leave) => leave(),
          () => undefined,
        );
      }),
    );
    expect(entries()).toBeGreaterThan(58);
    leaver.abort();
    await Promise.all(calls);
    expect(bulkheads).toMatchObject({ running: 0, waiting: 0 });
    expect(entries()).toBe(0);
    // What stays of a signal is the one listener that all share.
    for (const { signal } of [leaver, stayer])
      expect(getEventListeners(signal, 'abort').length).toBeLessThan(2);
  });

  test('leaves nothing behind when it was in vain, while others run on', async () => {
    const calls = setUp({ running: 1, queued: 1 });
    const { result, entries } = recordEntries(() => {
      calls.send('a x');
      const leaver = new AbortController();
      const waits = calls.enter('b y', leaver.signal);
      const refused = calls.enter('c z');
      leaver.abort();
      return [waits, refused];
    });
    await Promise.allSettled(result);
    expect(calls.bulkheads).toMatchObject({ running: 1, waiting: 0 });
    // The user and the host of the call that runs, and the user's share of the host.
    expect(entries()).toBe(3);
  });
});

/** Does some work. Counts what is in the maps and sets, at any time later, into which the work put anything. */
function recordEntries<T>(work: () => T): { result: T; entries: () => number } {
  const { set } = Map.prototype;
  const { add } = Set.prototype;
  const seen: (Map<unknown, unknown> | Set<unknown>)[] = [];
  const note = (collection: Map<unknown, unknown> | Set<unknown>) => {
    if (!seen.includes(collection)) seen.push(collection);
  };
  Map.prototype.set = function (this: Map<unknown, unknown>, key: unknown, value: unknown) {
    note(this);
    return set.call(this, key, value);
  };
  Set.prototype.add = function (this: Set<unknown>, value: unknown) {
    note(this);
    return add.call(this, value);
  };
  try {
    return { result: work(), entries: () => seen.reduce((sum, { size }) => sum + size, 0) };
  } finally {
    Map.prototype.set = set;
    Set.prototype.add = add;
  }
}

describe('whatever comes, in whatever order', () => {
  /** Numbers from 0 up to 1 that are the same in each run (a linear congruential generator). */
  function createRandom(seed: number): () => number {
    let state = seed;
    return () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
  }

  test.each([1, 2, 3])('limits hold, and nothing waits that could run (%i)', async (seed) => {
    const random = createRandom(seed);
    const pick = (size: number) => Math.floor(random() * size);
    const limits = { ...ROOMY, running: 12, perUser: 4, perHost: 5 };
    const bulkheads = createBulkheads(limits);
    const running = new Map<{ user: string; host: string | undefined }, () => void>();
    const waiting = new Map<{ user: string; host: string | undefined }, AbortController>();

    const hasRoom = ({ user, host }: { user: string; host: string | undefined }) => {
      const all = [...running.keys()];
      const ofUser = all.filter((other) => other.user === user);
      return (
        all.length < limits.running &&
        ofUser.length < limits.perUser &&
        (host === undefined ||
          (all.filter((other) => other.host === host).length < limits.perHost &&
            ofUser.filter((other) => other.host === host).length < 2))
      );
    };
    const steps: (() => void)[] = [
      () => {
        const place = { user: `u${pick(5)}`, host: [undefined, 'v', 'w', 'x', 'y', 'z'][pick(6)] };
        const controller = new AbortController();
        waiting.set(place, controller);
        bulkheads.enter(place, controller.signal).then(
          (leave) => {
            expect(hasRoom(place)).toBe(true);
            waiting.delete(place);
            running.set(place, leave);
          },
          () => waiting.delete(place),
        );
      },
      () => {
        const [place, leave] = [...running][pick(running.size)] ?? [];
        if (place === undefined) return;
        running.delete(place);
        leave?.();
      },
      () => [...waiting.values()][pick(waiting.size * 4)]?.abort(),
    ];
    for (let round = 0; round < 2000; round++) {
      steps[pick(steps.length)]?.();
      await settle();
      expect([bulkheads.running, bulkheads.waiting]).toEqual([running.size, waiting.size]);
      expect([...waiting.keys()].filter(hasRoom)).toEqual([]);
    }
  });

  test.each([
    ['many users of one host', 1000, 1],
    ['one user of many hosts', 1, 1000],
    ['users and hosts in all pairs', 32, 32],
  ])('10,000 waiting calls cost little to start: %s', async (_, users, hosts) => {
    const bulkheads = createBulkheads({ ...ROOMY, running: 64, perUser: 4, perHost: 4 });
    const leaving: (() => void)[] = [];
    for (let index = 0; index < 10_000; index++) {
      const place = { user: `u${index % users}`, host: `h${Math.floor(index / users) % hosts}` };
      const refused = () => expect.unreachable();
      bulkheads.enter(place, new AbortController().signal).then((leave) => leaving.push(leave), refused);
    }
    await settle();
    let milliseconds = 0;
    let left = 0;
    while (leaving.length > 0) {
      const leaves = leaving.splice(0);
      const start = performance.now();
      for (const leave of leaves) leave();
      milliseconds += performance.now() - start;
      left += leaves.length;
      await settle();
    }
    expect(left).toBe(10_000);
    expect(milliseconds).toBeLessThan(800);
  });
});

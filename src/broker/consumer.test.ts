import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { isMissing } from '../testing/services.ts';
import { type Neighbour, openNeighbour, openTestBroker, type TestBroker, until } from './broker-for-tests.ts';
import { type ConsumerTiming, createConsumer } from './consumer.ts';
import type { ConsumerNames } from './consumer-session.ts';
import type { IncomingMessage, Outcome } from './incoming.ts';

const ROUTING_KEY = 'user.deletion.initiated';

function namesOf(neighbour: Neighbour): ConsumerNames {
  const queue = neighbour.name('queue');
  return {
    exchange: neighbour.name('exchange'),
    routingKey: ROUTING_KEY,
    queue,
    deadLetterExchange: neighbour.name('dlx'),
    deadLetterQueue: `${queue}.dead`,
    retryQueue: `${queue}.retry`,
  };
}

/** Consumes; the messages that were handled are in `seen`, as text. */
function consume(
  broker: TestBroker,
  names: ConsumerNames,
  handle: (text: string, message: IncomingMessage) => Promise<Outcome> | Outcome = () => 'done',
  timing: Partial<ConsumerTiming> = {},
) {
  const seen: string[] = [];
  const consumer = createConsumer(broker, {
    names,
    log: broker.log,
    timing: { retryPausesMs: [50, 150], firstPauseMs: 10, longestPauseMs: 100, closeMs: 1000, ...timing },
    async handle(message) {
      const text = message.body.toString();
      seen.push(text);
      return handle(text, message);
    },
  });
  return Object.assign(consumer, { seen, [Symbol.asyncDispose]: () => consumer.close() });
}

async function publish({ channel }: Neighbour, { exchange }: ConsumerNames, text: string) {
  const messageId = randomUUID();
  await channel.basicPublish(
    { exchange, routingKey: ROUTING_KEY, messageId, durable: true, contentType: 'application/octet-stream' },
    Buffer.from(text),
  );
  return messageId;
}

describe.skipIf(await isMissing('rabbitmq'))('a consumer', () => {
  it('takes a message out of the queue when its handler has ended, and not before', async () => {
    await using neighbour = await openNeighbour();
    const names = namesOf(neighbour);
    await using broker = await openTestBroker();
    let finish = () => {};
    const held = new Promise<void>((resolve) => {
      finish = resolve;
    });
    await using consumer = consume(broker, names, async (): Promise<Outcome> => {
      await held;
      return 'done';
    });
    await until(() => consumer.isConsuming);
    await publish(neighbour, names, 'a');
    await until(() => consumer.seen.length === 1);

    // What dies before that leaves the message to the next.
    broker.proxy.dropConnections();
    await until(() => !consumer.isConsuming);
    finish();
    await until(() => consumer.seen.length === 2);
    await consumer.close();
    expect(await neighbour.count(names.queue)).toBe(0);
    expect(consumer.seen).toEqual(['a', 'a']);
  });

  it('delivers again what a process that was killed had in its hands', async () => {
    await using neighbour = await openNeighbour();
    const names = namesOf(neighbour);
    const redelivered: boolean[] = [];
    {
      await using broker = await openTestBroker();
      const consumer = consume(broker, names, () => new Promise(() => {}));
      await until(() => consumer.isConsuming);
      await publish(neighbour, names, 'a');
      await until(() => consumer.seen.length === 1);
      broker.proxy.dropConnections();
      await broker.close();
    }
    await using broker = await openTestBroker();
    await using consumer = consume(broker, names, (_, message) => {
      redelivered.push(message.redelivered);
      return 'done';
    });
    await until(() => consumer.seen.length === 1);
    expect(redelivered).toEqual([true]);
  });

  it('sets aside what can never be handled, with the reason', async () => {
    await using neighbour = await openNeighbour();
    const names = namesOf(neighbour);
    await using broker = await openTestBroker();
    await using consumer = consume(broker, names, (text) =>
      text === 'bad' ? { deadLetter: `no JSON: ${'é'.repeat(5000)}` } : 'done',
    );
    await until(() => consumer.isConsuming);
    const messageId = await publish(neighbour, names, 'bad');
    await publish(neighbour, names, 'good');
    await until(() => consumer.seen.length === 2);
    await until(async () => (await neighbour.count(names.deadLetterQueue)) === 1);
    await consumer.close();

    expect(await neighbour.count(names.queue)).toBe(0);
    const [dead] = await neighbour.take(names.deadLetterQueue);
    expect(dead).toMatchObject({ messageId, body: Buffer.from('bad') });
    expect(dead?.envelope.durable).toBe(true);
    expect(dead?.headers).toMatchObject({
      'x-reason': expect.stringMatching(/^no JSON: é{491}…$/),
      'x-original-exchange': names.exchange,
      'x-original-routing-key': ROUTING_KEY,
      'x-attempt': '1',
      'x-first-failed-at': expect.stringMatching(/^\d{4}-.*Z$/),
    });
    expect(broker.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
  });

  it('tries again after a passing fault, while the messages behind it go on', async () => {
    await using neighbour = await openNeighbour();
    const names = namesOf(neighbour);
    await using broker = await openTestBroker();
    const attempts: number[] = [];
    const done: string[] = [];
    let isAway = true;
    await using consumer = consume(broker, names, (text, message) => {
      attempts.push(message.attempt);
      if (isAway && text.startsWith('slow')) throw new Error('the database is away');
      done.push(text);
      return 'done';
    });
    await until(() => consumer.isConsuming);
    // More than are handled at a time.
    for (let index = 0; index < 30; index++) await publish(neighbour, names, `slow${index}`);
    await publish(neighbour, names, 'quick');
    await until(() => done.includes('quick'));
    await until(() => attempts.includes(4));
    isAway = false;
    await until(() => done.length === 31);
    await consumer.close();
    expect(new Set(done).size).toBe(31);
    for (const queue of [names.queue, names.retryQueue, names.deadLetterQueue])
      expect(await neighbour.count(queue)).toBe(0);
    // An outage of what handlers need is told of when it begins, not for each message.
    expect(broker.lines.filter(({ words }) => words.startsWith('messages cannot')).length).toBeLessThan(4);
  });

  it('keeps what is to be tried again when it closes or dies', async () => {
    await using neighbour = await openNeighbour();
    const names = namesOf(neighbour);
    for (const dies of [false, true]) {
      await using broker = await openTestBroker();
      const consumer = consume(
        broker,
        names,
        () => {
          throw new Error('the database is away');
        },
        { retryPausesMs: [60_000] },
      );
      await until(() => consumer.isConsuming);
      if (!dies) await publish(neighbour, names, 'a');
      await until(() => dies || consumer.seen.length === 1);
      if (dies) broker.proxy.dropConnections();
      await consumer.close();
      await until(async () => (await neighbour.count(names.retryQueue)) === 1);
    }
    await using broker = await openTestBroker();
    const attempts: number[] = [];
    await using consumer = consume(broker, names, (_, { attempt }) => {
      attempts.push(attempt);
      return 'done';
    });
    await until(() => consumer.seen.length === 1);
    expect(attempts).toEqual([2]);
  });

  it.each<[string, Record<string, string | number>]>([
    ['no arguments', {}],
    ['a dead-letter exchange', { 'x-dead-letter-exchange': 'someone', 'x-dead-letter-routing-key': 'else' }],
    ['a time to live', { 'x-message-ttl': 3_600_000 }],
    ['another type', { 'x-queue-type': 'quorum' }],
  ])('uses the queue that a neighbour declared with %s', async (_, args) => {
    await using neighbour = await openNeighbour();
    const names = namesOf(neighbour);
    await neighbour.channel.exchangeDeclare({ exchange: names.exchange, type: 'topic', durable: true });
    await neighbour.channel.queueDeclare({ queue: names.queue, durable: true, arguments: args });
    await neighbour.channel.queueBind({
      queue: names.queue,
      exchange: names.exchange,
      routingKey: ROUTING_KEY,
    });
    await publish(neighbour, names, 'waited');
    await using broker = await openTestBroker();
    await using consumer = consume(broker, names, (text) =>
      text === 'bad' ? { deadLetter: 'bad' } : 'done',
    );
    await publish(neighbour, names, 'bad');
    await until(() => consumer.seen.length === 2);
    await until(async () => (await neighbour.count(names.deadLetterQueue)) === 1);
    const told = broker.lines.filter(({ words }) => words.startsWith('declared otherwise'));
    expect(told).toHaveLength(Object.keys(args).length > 0 ? 1 : 0);
  });

  it.each([
    ['a deleted queue', ({ channel }: Neighbour, { queue }: ConsumerNames) => channel.queueDelete({ queue })],
    [
      'a deleted queue of those to be tried again',
      ({ channel }: Neighbour, { retryQueue }: ConsumerNames) => channel.queueDelete({ queue: retryQueue }),
    ],
    [
      'a lost connection',
      (_: Neighbour, __: ConsumerNames, { proxy }: TestBroker) => proxy.dropConnections(),
    ],
  ])('consumes again by itself after %s', async (_, spoil) => {
    await using neighbour = await openNeighbour();
    const names = namesOf(neighbour);
    await using broker = await openTestBroker();
    await using consumer = consume(broker, names);
    for (let round = 0; round < 3; round++) {
      await until(() => consumer.isConsuming);
      await spoil(neighbour, names, broker);
      await until(() => !consumer.isConsuming);
      await until(() => consumer.isConsuming);
      await publish(neighbour, names, `${round}`);
      await until(() => consumer.seen.includes(`${round}`));
    }
  });

  it('sets aside through a dead-letter exchange of another type, too', async () => {
    await using neighbour = await openNeighbour();
    const names = namesOf(neighbour);
    await neighbour.channel.exchangeDeclare({ exchange: names.deadLetterExchange, type: 'direct' });
    await using broker = await openTestBroker();
    await using consumer = consume(broker, names, () => ({ deadLetter: 'bad' }));
    await until(() => consumer.isConsuming);
    await publish(neighbour, names, 'bad');
    await until(async () => (await neighbour.count(names.deadLetterQueue)) === 1);
  });

  it('handles a message again that could not be set aside', async () => {
    await using neighbour = await openNeighbour();
    const names = namesOf(neighbour);
    await using broker = await openTestBroker();
    await using consumer = consume(broker, names, () => ({ deadLetter: 'bad' }));
    await until(() => consumer.isConsuming);
    await neighbour.channel.queueDelete({ queue: names.deadLetterQueue });
    await publish(neighbour, names, 'bad');
    await until(() => consumer.seen.length === 2);
    await until(async () => (await neighbour.count(names.deadLetterQueue).catch(() => 0)) === 1);
  });

  it('sets aside what has a time beyond all numbers', async () => {
    await using neighbour = await openNeighbour();
    const names = namesOf(neighbour);
    await using broker = await openTestBroker();
    let isAway = true;
    await using consumer = consume(broker, names, (text) => {
      if (text === 'good') return 'done';
      if (isAway) throw new Error('the database is away');
      return { deadLetter: 'bad' };
    });
    await until(() => consumer.isConsuming);
    const oddities = [{ timestamp: 2n ** 64n - 1n }, { timestamp: 2 ** 53 }];
    for (const oddity of [...oddities, { messageId: 'a'.repeat(255), timestamp: 1_700_000_000 }]) {
      await neighbour.channel.basicPublish(
        {
          exchange: names.exchange,
          routingKey: ROUTING_KEY,
          durable: true,
          ...(oddity as { timestamp: number }),
        },
        Buffer.from('bad'),
      );
    }
    await publish(neighbour, names, 'good');
    await until(() => consumer.seen.includes('good') && consumer.seen.length > 6);
    isAway = false;
    await until(async () => (await neighbour.count(names.deadLetterQueue)) === 3);
    await consumer.close();
    const dead = await neighbour.take(names.deadLetterQueue);
    expect(dead.map(({ envelope }) => envelope.timestamp)).toContain(1_700_000_000);
    expect(dead.map(({ messageId }) => messageId)).toContain('a'.repeat(255));
    expect(broker.lines.filter(({ words }) => words.startsWith('the broker could not'))).toEqual([]);
  });

  it('sets aside without its properties what cannot be with them, and says so', async () => {
    await using neighbour = await openNeighbour();
    const names = namesOf(neighbour);
    await using broker = await openTestBroker();
    const openChannel = broker.openChannel.bind(broker);
    broker.openChannel = async () => {
      const opened = await openChannel();
      const { amqp } = opened;
      const basicPublish = amqp.basicPublish.bind(amqp);
      // As the client does with what it cannot write.
      amqp.basicPublish = (async (envelope: { type?: string }, body: Buffer) => {
        if (envelope.type !== 'poison') return basicPublish(envelope, body);
        void amqp.close();
        throw new Error('it cannot be written');
      }) as typeof amqp.basicPublish;
      return opened;
    };
    await using consumer = consume(broker, names, (text) =>
      text === 'bad' ? { deadLetter: 'bad' } : 'done',
    );
    await until(() => consumer.isConsuming);
    await neighbour.channel.basicPublish(
      { exchange: names.exchange, routingKey: ROUTING_KEY, durable: true, messageId: 'kept', type: 'poison' },
      Buffer.from('bad'),
    );
    await until(async () => (await neighbour.count(names.deadLetterQueue)) === 1);
    await publish(neighbour, names, 'good');
    await until(() => consumer.seen.includes('good'));
    await consumer.close();
    expect(consumer.seen).toEqual(['bad', 'bad', 'good']);
    expect((await neighbour.take(names.deadLetterQueue))[0]).toMatchObject({ messageId: 'kept' });
    expect(broker.lines.filter(({ words }) => words.startsWith('the broker could not'))).toHaveLength(1);
  });

  it('gives the handler the bytes of a message, whatever it calls itself', async () => {
    await using neighbour = await openNeighbour();
    const names = namesOf(neighbour);
    await using broker = await openTestBroker();
    await using consumer = consume(broker, names);
    await until(() => consumer.isConsuming);
    const send = (contentType: string | undefined, text: string) =>
      neighbour.channel.basicPublish(
        {
          exchange: names.exchange,
          routingKey: ROUTING_KEY,
          ...(contentType ? { contentType } : {}),
          headers: { 'x-attempt': 'many', __proto__: null, nested: { a: [1, { b: true }] } },
        },
        Buffer.from(text),
      );
    await send('application/json', '{"user_id":"1","__proto__":{"a":1}}');
    await send('application/json', '{"cut');
    await send('text/plain', 'é');
    await send(undefined, '');
    await send('application/json', `${'['.repeat(200_000)}${']'.repeat(200_000)}`);
    await until(() => consumer.seen.length === 5);
    expect(consumer.seen).toEqual(['{"user_id":"1","__proto__":{"a":1}}', '{"cut', 'é', '', '']);
  });

  it('waits for the handlers under way when it closes, and takes no more messages', async () => {
    await using neighbour = await openNeighbour();
    const names = namesOf(neighbour);
    await using broker = await openTestBroker();
    let ended = 0;
    const consumer = consume(broker, names, async (): Promise<Outcome> => {
      await new Promise((resolve) => setTimeout(resolve, 200));
      ended++;
      return 'done';
    });
    await until(() => consumer.isConsuming);
    for (let index = 0; index < 15; index++) await publish(neighbour, names, `${index}`);
    await until(() => consumer.seen.length === 10);
    await Promise.all([consumer.close(), consumer.close()]);
    expect([ended, consumer.seen.length, consumer.isConsuming]).toEqual([10, 10, false]);
    await until(async () => (await neighbour.count(names.queue)) === 5);
  });

  it.each(['pass', 'refuse', 'reset', 'stall', 'swallow'] as const)(
    'closes within a bounded time, also while a handler hangs: %s',
    async (mode) => {
      await using neighbour = await openNeighbour();
      const names = namesOf(neighbour);
      await using broker = await openTestBroker();
      const consumer = consume(broker, names, () => new Promise(() => {}), { closeMs: 300, cancelMs: 200 });
      await until(() => consumer.isConsuming);
      await publish(neighbour, names, 'a');
      await until(() => consumer.seen.length === 1);
      await broker.proxy.setMode(mode);
      const startedAt = performance.now();
      await consumer.close();
      await broker.close();
      expect(performance.now() - startedAt).toBeLessThan(2000);
      await broker.proxy.setMode('pass');
      await until(async () => (await neighbour.count(names.queue)) === 1);
      expect(consumer.isConsuming).toBe(false);
    },
  );

  it('closes while it has never had a broker', async () => {
    await using neighbour = await openNeighbour();
    await using broker = await openTestBroker();
    await broker.proxy.setMode('refuse');
    const consumer = consume(broker, namesOf(neighbour));
    await consumer.close();
    await broker.proxy.setMode('pass');
    await until(() => broker.state === 'connected');
    expect(consumer.isConsuming).toBe(false);
  });
});

import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Message } from '../events/publisher.ts';
import { isMissing } from '../testing/services.ts';
import { type Neighbour, openNeighbour, openTestBroker, until } from './broker-for-tests.ts';
import { createPublisher } from './publisher.ts';

function messageTo(exchange: string, routingKey: string, body: unknown = {}): Message {
  return { id: randomUUID(), exchange, routingKey, body: JSON.stringify(body), timestamp: 1_900_000_000_500 };
}

async function bindQueue(neighbour: Neighbour, exchange: string, routingKey: string): Promise<string> {
  const queue = neighbour.name('queue');
  await neighbour.channel.queueDeclare({ queue, durable: true });
  await neighbour.channel.queueBind({ queue, exchange, routingKey });
  return queue;
}

describe.skipIf(await isMissing('rabbitmq'))('a publisher', () => {
  it('publishes persistent messages in order, as the contract has them', async () => {
    await using neighbour = await openNeighbour();
    await using broker = await openTestBroker();
    const exchange = neighbour.name('exchange');
    const publisher = createPublisher(broker, { exchanges: [exchange], log: broker.log });
    await until(() => publisher.isConnected);
    // Declared before anything is published; else this would close the channel.
    expect(await publisher.publish([])).toEqual([]);
    const queue = await bindQueue(neighbour, exchange, 'tool.#');

    const messages = Array.from({ length: 500 }, (_, index) =>
      messageTo(exchange, 'tool.deleted', { index }),
    );
    expect(new Set(await publisher.publish(messages))).toEqual(new Set(['confirmed']));

    const taken = await neighbour.take(queue);
    expect(taken.map(({ messageId }) => messageId)).toEqual(messages.map(({ id }) => id));
    expect(taken[7]).toMatchObject({
      body: { index: 7 },
      envelope: {
        exchange,
        routingKey: 'tool.deleted',
        contentType: 'application/json',
        durable: true,
        timestamp: 1_900_000_000,
      },
    });
  });

  it('never takes what was sent back for confirmed', async () => {
    await using neighbour = await openNeighbour();
    await using broker = await openTestBroker();
    const exchange = neighbour.name('exchange');
    const publisher = createPublisher(broker, { exchanges: [exchange], log: broker.log });
    await until(() => publisher.isConnected);
    for (let round = 0; round < 20; round++) {
      expect(await publisher.publish([messageTo(exchange, 'nobody.listens')])).toEqual(['unroutable']);
    }
    const queue = await bindQueue(neighbour, exchange, 'a');
    const messages = Array.from({ length: 200 }, (_, index) => messageTo(exchange, index % 3 ? 'a' : 'b'));
    const [first, second] = await Promise.all([publisher.publish(messages), publisher.publish(messages)]);
    const expected = messages.map((_, index) => (index % 3 ? 'confirmed' : 'unroutable'));
    expect([first, second]).toEqual([expected, expected]);
    expect(await neighbour.take(queue)).toHaveLength(266);
  });

  it('does not send to an exchange that it does not know, which would close the channel', async () => {
    await using neighbour = await openNeighbour();
    await using broker = await openTestBroker();
    const exchange = neighbour.name('exchange');
    const publisher = createPublisher(broker, { exchanges: [exchange], log: broker.log });
    await until(() => publisher.isConnected);
    await publisher.publish([]);
    await bindQueue(neighbour, exchange, '#');
    const messages = [messageTo(exchange, 'a'), messageTo('no_such_exchange', 'a'), messageTo(exchange, 'a')];
    expect(await publisher.publish(messages)).toEqual(['confirmed', 'unroutable', 'confirmed']);
  });

  it('uses an exchange as it is that a neighbour declared otherwise, and tells of it once', async () => {
    await using neighbour = await openNeighbour();
    await using broker = await openTestBroker();
    const exchange = neighbour.name('exchange');
    await neighbour.channel.exchangeDeclare({ exchange, type: 'fanout', durable: false });
    await bindQueue(neighbour, exchange, '');
    const publisher = createPublisher(broker, { exchanges: [exchange], log: broker.log });
    for (let round = 0; round < 2; round++) {
      await until(() => publisher.isConnected);
      expect(await publisher.publish([messageTo(exchange, 'a')])).toEqual(['confirmed']);
      broker.proxy.dropConnections();
      await until(() => !publisher.isConnected);
    }
    expect(broker.lines.filter(({ words }) => words.startsWith('declared otherwise'))).toHaveLength(1);
  });

  it('declares an exchange again that somebody has deleted', async () => {
    await using neighbour = await openNeighbour();
    await using broker = await openTestBroker();
    const exchange = neighbour.name('exchange');
    const publisher = createPublisher(broker, { exchanges: [exchange], log: broker.log });
    await until(() => publisher.isConnected);
    expect(await publisher.publish([messageTo(exchange, 'a')])).toEqual(['unroutable']);
    await neighbour.channel.exchangeDelete({ exchange });
    expect(await publisher.publish([messageTo(exchange, 'a'), messageTo(exchange, 'a')])).toEqual([
      'unconfirmed',
      'unconfirmed',
    ]);
    await until(async () => (await publisher.publish([messageTo(exchange, 'a')]))[0] === 'unroutable');
    expect(broker.state).toBe('connected');
  });

  it('knows nothing of what was not confirmed, whatever the way to the broker does, and goes on after it', async () => {
    await using neighbour = await openNeighbour();
    await using broker = await openTestBroker({ answerMs: 300, connectMs: 300 });
    const exchange = neighbour.name('exchange');
    const publisher = createPublisher(broker, { exchanges: [exchange], log: broker.log, confirmMs: 300 });
    let connected = 0;
    publisher.onConnected(() => connected++);
    const batch = () => Array.from({ length: 50 }, () => messageTo(exchange, 'a'));
    await until(() => publisher.isConnected);
    await publisher.publish([]);
    const queue = await bindQueue(neighbour, exchange, 'a');

    for (const mode of ['swallow', 'stall', 'stall-answers', 'reset', 'refuse'] as const) {
      expect(new Set(await publisher.publish(batch()))).toEqual(new Set(['confirmed']));
      await broker.proxy.setMode(mode);
      const startedAt = performance.now();
      expect(new Set(await publisher.publish(batch()))).toEqual(new Set(['unconfirmed']));
      expect(performance.now() - startedAt).toBeLessThan(2000);
      await until(() => !publisher.isConnected);
      expect(new Set(await publisher.publish(batch()))).toEqual(new Set(['unconfirmed']));
      await broker.proxy.setMode('pass');
      await until(() => publisher.isConnected);
    }
    expect(connected).toBe(6);
    expect(await neighbour.count(queue)).toBeGreaterThanOrEqual(5 * 50);
  });

  it('loses nothing that it called confirmed when connections are reset in the midst of batches', async () => {
    await using neighbour = await openNeighbour();
    await using broker = await openTestBroker();
    const exchange = neighbour.name('exchange');
    const publisher = createPublisher(broker, { exchanges: [exchange], log: broker.log });
    await until(() => publisher.isConnected);
    await publisher.publish([]);
    const queue = await bindQueue(neighbour, exchange, 'a');
    const confirmed = new Set<string>();
    let unconfirmed = 0;
    for (let round = 0; round < 20; round++) {
      await until(() => publisher.isConnected);
      const messages = Array.from({ length: 100 }, () => messageTo(exchange, 'a'));
      const publishing = publisher.publish(messages);
      if (round % 2) setTimeout(broker.proxy.dropConnections, round / 2);
      (await publishing).forEach((delivery, index) => {
        if (delivery === 'confirmed') confirmed.add(messages[index]?.id ?? '');
        else unconfirmed++;
      });
    }
    expect(confirmed.size + unconfirmed).toBe(2000);
    expect(confirmed.size).toBeGreaterThan(900);
    const taken = new Set((await neighbour.take(queue)).map(({ messageId }) => messageId));
    expect([...confirmed].filter((id) => !taken.has(id))).toEqual([]);
  });
});

import { describe, expect, it } from 'vitest';
import { isMissing } from '../testing/services.ts';
import { openBroker } from './broker.ts';
import { createTestLog, type Line, openTestBroker, until } from './broker-for-tests.ts';
import { connectionOptions } from './connection-options.ts';

describe('the URL of a broker', () => {
  it.each([
    ['amqp://broker', { hostname: 'broker', port: 5672, username: 'guest', password: 'guest', vhost: '/' }],
    [
      'amqp://a%40b:p%2Fw@[::1]:1234/%2Fhost?heartbeat=0',
      { hostname: '::1', port: '1234', username: 'a@b', password: 'p/w', vhost: '/host' },
    ],
    ['amqps://h/v', { hostname: 'h', port: 5671, vhost: 'v', tls: { servername: 'h' } }],
    ['amqps://10.0.0.1', { hostname: '10.0.0.1', port: 5671, tls: {} }],
  ])('%s', (url, options) => {
    expect(connectionOptions(url)).toMatchObject(options);
  });

  it.each(['http://user:secret@host', 'amqp://user:secret@host:port', 'amqp://user:sec%ret@host'])(
    '%s is none, said without a secret',
    (url) => {
      const { log } = createTestLog();
      let fault: unknown;
      try {
        openBroker({ url, log });
      } catch (error) {
        fault = error;
      }
      expect(fault).toEqual(new Error('the URL of RabbitMQ is not one of amqp:// or amqps://'));
      expect(Object.keys(fault as object)).toEqual([]);
    },
  );
});

describe.skipIf(await isMissing('rabbitmq'))('a broker', () => {
  it('comes back by itself, and tells once of each time that it is away', async () => {
    await using broker = await openTestBroker();
    await until(() => broker.state === 'connected');
    let connected = 0;
    broker.onConnected(() => connected++);
    const noMore = broker.onConnected(() => (connected += 100));
    noMore();

    for (const mode of ['reset', 'refuse'] as const) {
      await broker.proxy.setMode(mode);
      await until(() => broker.state === 'away');
      // Several attempts fail meanwhile.
      await new Promise((resolve) => setTimeout(resolve, 300));
      await expect(broker.openChannel()).rejects.toThrow('RabbitMQ is away');
      await broker.proxy.setMode('pass');
      await until(() => broker.state === 'connected');
    }

    expect(connected).toBe(2);
    expect(broker.lines.map(({ words }) => words)).toEqual([
      'connected to RabbitMQ',
      'RabbitMQ is away: trying again until it is back',
      'RabbitMQ is back',
      'RabbitMQ is away: trying again until it is back',
      'RabbitMQ is back',
    ]);
  });

  it('opens while there is none, and says once why', async () => {
    const { log, lines } = createTestLog();
    const broker = openBroker({ url: 'amqp://user:s3cret@127.0.0.1:9', log, timing: { firstPauseMs: 10 } });
    expect(broker.state).toBe('away');
    await until(() => lines.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await broker.close();
    await broker.close();
    expect(lines).toHaveLength(1);
    const told = faultOf(lines[0]);
    expect(told).toContain('ECONNREFUSED');
    expect(told).not.toContain('s3cret');
  });

  it('is away for a wrong password, which it does not tell', async () => {
    await using there = await openTestBroker();
    const { log, lines } = createTestLog();
    const broker = openBroker({ url: `amqp://nobody:s3cret@127.0.0.1:${there.proxy.port}`, log });
    await until(() => lines.length > 0);
    await broker.close();
    const told = faultOf(lines[0]);
    expect(told).toContain('ACCESS_REFUSED');
    expect(told).not.toContain('s3cret');
  });

  it('notices a peer that stalls', async () => {
    await using broker = await openTestBroker({ heartbeatSeconds: 1, connectMs: 300 });
    await until(() => broker.state === 'connected');
    await broker.proxy.setMode('stall');
    await until(() => broker.state === 'away', 5000);
    await broker.proxy.setMode('pass');
    await until(() => broker.state === 'connected');
  });

  it('replaces a connection on which nothing is answered', async () => {
    await using broker = await openTestBroker({ answerMs: 100 });
    await until(() => broker.state === 'connected');
    await broker.proxy.setMode('swallow');
    await expect(broker.openChannel()).rejects.toThrow('no answer within 100 ms');
    expect(broker.state).toBe('away');
    await broker.proxy.setMode('pass');
    await until(() => broker.state === 'connected');
    await broker.openChannel();
  });

  it.each(['pass', 'refuse', 'reset', 'stall', 'swallow'] as const)(
    'closes within a bounded time: %s',
    async (mode) => {
      await using broker = await openTestBroker({ closeMs: 300 });
      await until(() => broker.state === 'connected');
      await broker.openChannel();
      await broker.proxy.setMode(mode);
      const startedAt = performance.now();
      await Promise.all([broker.close(), broker.close()]);
      expect(performance.now() - startedAt).toBeLessThan(1500);
      expect(broker.state).toBe('away');
      // What stalls does not see that it is over.
      if (mode === 'stall') await broker.proxy.setMode('pass');
      await until(() => broker.proxy.connections === 0);
      await expect(broker.openChannel()).rejects.toThrow('RabbitMQ is away');
    },
  );
});

/** The error of a line, with all that it holds. */
function faultOf(line: Line | undefined): string {
  const { err } = (line?.values ?? {}) as { err?: Error };
  return `${err?.message} ${JSON.stringify(err)} ${err?.stack}`;
}

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Channel, Connection } from 'rabbitmq-client';
import { serviceUrl } from '../testing/services.ts';
import { startTcpProxy, type TcpProxy } from '../testing/tcp-proxy.ts';
import { type Broker, type BrokerLog, type BrokerTiming, openBroker } from './broker.ts';

/** A line of a test's log. */
export interface Line {
  readonly level: 'info' | 'warn' | 'error';
  readonly words: string;
  readonly values: unknown;
}

export function createTestLog(): { log: BrokerLog; lines: Line[] } {
  const lines: Line[] = [];
  const at =
    (level: Line['level']) =>
    (...parts: unknown[]) => {
      lines.push({ level, words: String(parts.at(-1)), values: parts.length > 1 ? parts[0] : undefined });
    };
  return { log: { info: at('info'), warn: at('warn'), error: at('error') } as unknown as BrokerLog, lines };
}

export interface TestBroker extends Broker, AsyncDisposable {
  readonly proxy: TcpProxy;
  readonly log: BrokerLog;
  readonly lines: readonly Line[];
}

/** A broker behind a proxy, with short pauses. Close it by scope: `await using`. */
export async function openTestBroker(timing: Partial<BrokerTiming> = {}): Promise<TestBroker> {
  const url = new URL(serviceUrl('rabbitmq'));
  const proxy = await startTcpProxy(Number(url.port) || 5672);
  url.hostname = '127.0.0.1';
  url.port = String(proxy.port);
  const { log, lines } = createTestLog();
  const broker = openBroker({
    url: url.href,
    log,
    timing: { firstPauseMs: 20, longestPauseMs: 100, answerMs: 1000, closeMs: 500, ...timing },
  });
  return Object.assign(Object.create(broker) as Broker, {
    proxy,
    log,
    lines,
    async [Symbol.asyncDispose]() {
      await broker.close();
      await proxy[Symbol.asyncDispose]();
    },
  });
}

/** A neighbour on the same server, and names that are this test's alone: what bears one is deleted when it closes. */
export interface Neighbour extends AsyncDisposable {
  readonly channel: Channel;
  name(word: string): string;
  /** The messages of a queue, taken out of it. */
  take(queue: string): Promise<TakenMessage[]>;
  count(queue: string): Promise<number>;
}

export interface TakenMessage {
  readonly body: unknown;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly messageId: string | undefined;
  readonly envelope: Readonly<Record<string, unknown>>;
}

export async function openNeighbour(): Promise<Neighbour> {
  const connection = new Connection(serviceUrl('rabbitmq'));
  connection.on('error', () => {});
  const channel = await connection.acquire();
  await channel.confirmSelect();
  const mark = randomUUID().slice(0, 8);
  const names = new Set<string>();
  return {
    channel,
    name(word) {
      const name = `test_${mark}_${word}`;
      names.add(name);
      return name;
    },
    async take(queue) {
      const taken: TakenMessage[] = [];
      for (;;) {
        const message = await channel.basicGet({ queue, noAck: true });
        if (!message) return taken;
        const { body, headers = {}, messageId, ...envelope } = message;
        taken.push({ body, headers, messageId, envelope: { ...envelope } });
      }
    },
    async count(queue) {
      return (await channel.queueDeclare({ queue, passive: true })).messageCount;
    },
    async [Symbol.asyncDispose]() {
      const cleaning = await connection.acquire();
      for (const name of names) {
        for (const queue of [name, `${name}.dead`, `${name}.retry`]) await cleaning.queueDelete({ queue });
        await cleaning.exchangeDelete({ exchange: name });
      }
      await cleaning.close();
      await channel.close();
      await connection.close();
    },
  };
}

/** Looks until something holds. */
export async function until(holds: () => boolean | Promise<boolean>, limitMs = 10_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('it did not come to hold in time');
    await sleep(10);
  }
}

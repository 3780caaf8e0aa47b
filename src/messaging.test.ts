import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Connection, type Consumer } from 'rabbitmq-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from './broker/broker-for-tests.ts';
import { createHttpClient } from './testing/http-client.ts';
import { makeToken } from './testing/make-token.ts';
import { isMissing, serviceUrl } from './testing/services.ts';
import { startTestService } from './testing/start-test-service.ts';
import { webhookInput } from './testing/tools-context.ts';

// The whole service at a real broker, under the names that its neighbours rely on. They are fixed, so this file alone uses
// them, one test at a time.

const TOOLS = '/ms7/api/v1/tools/';
const CLEANUP_QUEUE = 'tool_user_cleanup_queue';

/** A tool that was made. */
type Made = { readonly id: string };

/** What was heard: the routing key and the body. */
type Heard = readonly [routingKey: string, body: unknown];

describe.skipIf(await isMissing('rabbitmq'))('the service at a broker', () => {
  let neighbour: Connection;
  let listener: Consumer;
  const heard: Heard[] = [];

  beforeAll(async () => {
    neighbour = new Connection({ url: serviceUrl('rabbitmq') });
    neighbour.on('error', () => {});
    const exchanges = ['resource_events', 'user_events'];
    listener = neighbour.createConsumer(
      {
        queue: `test-${randomUUID()}`,
        queueOptions: { exclusive: true, autoDelete: true },
        exchanges: exchanges.map((exchange) => ({ exchange, type: 'topic', durable: true })),
        queueBindings: [
          { exchange: 'resource_events', routingKey: 'tool.*' },
          { exchange: 'user_events', routingKey: 'resource.for_user.deleted.*' },
        ],
        noAck: true,
      },
      async ({ routingKey, body }) => {
        heard.push([routingKey, body]);
      },
    );
    listener.on('error', () => {});
    await once(listener, 'ready');
  });
  afterAll(async () => {
    for (const queue of [CLEANUP_QUEUE, `${CLEANUP_QUEUE}.dead`, `${CLEANUP_QUEUE}.retry`]) {
      await neighbour.queueDelete(queue).catch(() => {});
    }
    await listener.close();
    await neighbour.close();
  });

  const initiate = async (...bodies: unknown[]) => {
    const publisher = neighbour.createPublisher({ confirm: true });
    for (const body of bodies) {
      await publisher.send(
        { exchange: 'user_events', routingKey: 'user.deletion.initiated', durable: true },
        body,
      );
    }
    await publisher.close();
  };
  const keysOf = (id: string) =>
    heard.filter(([, body]) => Object.values(body as object).includes(id)).map(([routingKey]) => routingKey);

  describe.each(['sqlite', 'postgres'] as const)('on %s', (engine) => {
    const start = () => startTestService({ RABBITMQ_URL: serviceUrl('rabbitmq') }, { engine });
    const skip = engine === 'postgres' ? isMissing('postgres') : Promise.resolve(false);

    it('announces what happens to a tool, in order', async ({ skip: leaveOut }) => {
      if (await skip) leaveOut();
      await using service = await start();
      const send = createHttpClient(service.url, makeToken({ user_id: randomUUID() }));
      const { json } = await send<Made>('POST', TOOLS, { body: webhookInput('first') });
      await send('PATCH', `${TOOLS}${json.id}/`, { body: { name: 'second' } });
      await send('DELETE', `${TOOLS}${json.id}/`);
      await until(() => keysOf(json.id).length >= 3);
      expect(keysOf(json.id)).toEqual(['tool.created', 'tool.updated', 'tool.deleted']);
      expect(heard).toContainEqual(['tool.deleted', { tool_id: json.id }]);
    });

    it('deletes users with all that is theirs, however often and in whatever order it is told', async ({
      skip: leaveOut,
    }) => {
      if (await skip) leaveOut();
      await using service = await start();
      const users = [randomUUID(), randomUUID(), randomUUID()] as const;
      const [gone, alsoGone, stays] = users;
      const clients = users.map((user) => createHttpClient(service.url, makeToken({ user_id: user })));
      const tools: string[][] = [];
      for (const send of clients) {
        const made: string[] = [];
        for (const name of ['a', 'b', 'c'])
          made.push((await send<Made>('POST', TOOLS, { body: webhookInput(name) })).json.id);
        tools.push(made);
      }
      await initiate(
        ...Array.from({ length: 5 }, () => [{ user_id: gone }, { user_id: alsoGone.toUpperCase() }]).flat(),
      );

      const confirmation = 'resource.for_user.deleted.ToolService';
      await until(() => [gone, alsoGone].every((user) => keysOf(user).includes(confirmation)));
      expect(heard).toContainEqual([confirmation, { user_id: gone, service_name: 'ToolService' }]);
      for (const id of [...(tools[0] ?? []), ...(tools[1] ?? [])]) {
        expect(keysOf(id)).toEqual(['tool.created', 'tool.deleted']);
      }
      const statuses = await Promise.all(clients.map(async (send) => (await send('GET', TOOLS)).status));
      expect(statuses).toEqual([401, 401, 200]);
      const left = await clients[2]?.<Made[]>('GET', TOOLS);
      expect(left?.json.slice(2).map(({ id }) => id)).toEqual(tools[2]);
      expect(keysOf(stays)).toEqual([]);
    });

    it('confirms the deletion of a user who had nothing', async ({ skip: leaveOut }) => {
      if (await skip) leaveOut();
      await using _service = await start();
      const user = randomUUID();
      await initiate({ user_id: user });
      await until(() => keysOf(user).length > 0);
      expect(keysOf(user)).toEqual(['resource.for_user.deleted.ToolService']);
    });

    it('puts aside what can never be handled, with the reason', async ({ skip: leaveOut }) => {
      if (await skip) leaveOut();
      await using service = await start();
      await initiate({ user_id: 'nobody' });
      await until(() => service.log.some(({ level }) => level === 'error'));
      const message = await neighbour.basicGet({ queue: `${CLEANUP_QUEUE}.dead`, noAck: true });
      expect(message).toMatchObject({
        body: { user_id: 'nobody' },
        headers: { 'x-reason': expect.stringContaining('user_id') },
      });
    });
  });

  it('is ready without a broker, and says how its neighbours are', async () => {
    await using service = await startTestService({
      RABBITMQ_URL: 'amqp://guest:guest@127.0.0.1:9',
      REDIS_URL: 'redis://127.0.0.1:9',
    });
    const send = createHttpClient(service.url, makeToken({ user_id: randomUUID() }));
    const { status, json } = await send('GET', '/readyz');
    expect([status, json]).toEqual([
      200,
      { status: 'ready', dependencies: { database: 'ok', rabbitmq: 'away', redis: 'away' } },
    ]);
    expect((await send('POST', TOOLS, { body: webhookInput('a') })).status).toBe(201);
  });
});

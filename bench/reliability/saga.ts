import { randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Connection } from 'rabbitmq-client';
import { request } from 'undici';
import { atMost, type Finding, formatFindings } from '../report.ts';
import { makeScratchFolder } from '../scratch.ts';
import { buildService, JWT_KEY, startServiceProcess } from '../service-process.ts';
import { signToken } from '../token.ts';
import { listenForEvents } from './event-listener.ts';
import { hasRabbitmq, startOwnRabbitmq } from './own-rabbitmq.ts';

// The platform deletes users: each message comes five times, those of all users mixed, while the service is killed (-9) again
// and again, before it has acknowledged what it was handling. Whatever happens in between, in the end all of them are gone,
// each is confirmed, and nobody else has lost anything.

const TOOLS = '/ms7/api/v1/tools/';
const DELIVERIES = 5;
const TOOLS_OF_A_USER = 20;
/** The service is up for a random time of at most this when it is killed. */
const LONGEST_LIFE_MS = 300;
const END_LIMIT_MS = 60_000;
const CONFIRMATION = 'resource.for_user.deleted.ToolService';

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
const rounds = values.quick ? 3 : 25;
const usersOfARound = 8;
const say = (words: string) => process.stderr.write(`${words}\n`);

if (!hasRabbitmq) {
  say('SKIPPED: there is no rabbitmq-server to start here');
  process.exit(process.env.REQUIRE_SERVICES === '1' ? 1 : 0);
}
buildService();
await using rabbitmq = await startOwnRabbitmq();
await using heard = await listenForEvents(rabbitmq.url, ['tool.deleted', CONFIRMATION]);
const neighbour = new Connection(rabbitmq.url);
neighbour.on('error', () => {});
const publisher = neighbour.createPublisher({ confirm: true });
const databaseFile = join(makeScratchFolder(), 'tools.db');
const settings = { RABBITMQ_URL: rabbitmq.url, ENCRYPTION_KEY: randomBytes(32).toString('base64') };
const start = () => startServiceProcess({ databaseFile, settings });

const gone = new Map<string, string[]>();
const bystander = randomUUID();
let kept: string[] = [];
let kills = 0;
{
  await using service = await start();
  kept = await makeTools(service.origin, bystander);
}
for (let round = 0; round < rounds; round++) {
  const users = Array.from({ length: usersOfARound }, () => randomUUID());
  {
    await using service = await start();
    for (const user of users) gone.set(user, await makeTools(service.origin, user));
  }
  const messages = users.flatMap((user) => Array.from({ length: DELIVERIES }, () => user));
  for (const user of shuffled(messages)) {
    await publisher.send(
      { exchange: 'user_events', routingKey: 'user.deletion.initiated', durable: true },
      { user_id: user },
    );
  }
  for (let life = 0; life < 3; life++) {
    await using service = await start();
    await sleep(Math.random() * LONGEST_LIFE_MS);
    process.kill(service.pid, 'SIGKILL');
    kills++;
  }
  say(`round ${round + 1} of ${rounds}`);
}

await using service = await start();
const begin = performance.now();
const isConfirmed = () => [...gone.keys()].every((user) => heard.of(CONFIRMATION).has(user));
const areHeard = () => [...gone.values()].flat().every((id) => heard.of('tool.deleted').has(id));
while (!(isConfirmed() && areHeard()) && performance.now() - begin < END_LIMIT_MS) await sleep(50);
const confirmations = [...heard.of(CONFIRMATION).values()];
const statuses = await Promise.all([...gone.keys()].map((user) => statusOf(service.origin, user)));
const left = new Set(await idsOf(service.origin, bystander));
const findings: Finding[] = [
  atMost('users without a confirmation', gone.size - confirmations.length, 0, ''),
  atMost('deleted tools that nobody heard of', missing([...gone.values()].flat()), 0, ''),
  atMost('deleted users whose token is taken', statuses.filter((status) => status !== 401).length, 0, ''),
  atMost('tools of another user that are gone', kept.filter((id) => !left.has(id)).length, 0, ''),
];
say(
  `${gone.size} users, ${DELIVERIES} messages each, ${kills} kills; ` +
    `${confirmations.filter((count) => count > 1).length} confirmations came more than once`,
);
process.stdout.write(`\n${formatFindings(findings, { verdicts: true })}\n`);
await publisher.close();
await neighbour.close();
process.exitCode = findings.every(({ met }) => met) ? 0 : 1;

async function makeTools(origin: string, user: string): Promise<string[]> {
  const made: string[] = [];
  for (let index = 0; index < TOOLS_OF_A_USER; index++) {
    const { statusCode, body } = await request(`${origin}${TOOLS}`, {
      method: 'POST',
      headers: { ...authorization(user), 'content-type': 'application/json' },
      body: JSON.stringify({
        name: `tool_${index}`,
        definition: {
          name: `tool_${index}`,
          description: 'Does a thing.',
          parameters: { type: 'object', properties: {} },
          execution: { type: 'webhook', url: 'https://tools.example.com/hook' },
        },
      }),
    });
    const { id } = (await body.json()) as { id: string };
    if (statusCode !== 201) throw new Error(`POST answered ${statusCode}`);
    made.push(id);
  }
  return made;
}

async function statusOf(origin: string, user: string): Promise<number> {
  const { statusCode, body } = await request(`${origin}${TOOLS}`, { headers: authorization(user) });
  await body.dump();
  return statusCode;
}

async function idsOf(origin: string, user: string): Promise<string[]> {
  const { body } = await request(`${origin}${TOOLS}`, { headers: authorization(user) });
  return ((await body.json()) as { id: string }[]).map(({ id }) => id);
}

function authorization(user: string) {
  return { authorization: `Bearer ${signToken(JWT_KEY, user)}` };
}

function missing(ids: readonly string[]): number {
  return ids.filter((id) => !heard.of('tool.deleted').has(id)).length;
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

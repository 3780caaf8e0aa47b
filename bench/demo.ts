import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parseConfig } from '../src/config.ts';
import { createLogger } from '../src/logging.ts';
import { startService } from '../src/service.ts';
import { type Call, createDemoClients, type DemoClient } from './demo-clients.ts';
import { type DemoAnswer, type DemoWebhook, startDemoWebhook } from './demo-webhook.ts';
import { corpusTools, webhookDefinition } from './examples.ts';
import { createRandom, makeArguments } from './make-arguments.ts';
import { formatTable, show } from './report.ts';
import { TOOLS_PATH } from './requests.ts';
import { makeScratchFolder } from './scratch.ts';
import { percentile } from './statistics.ts';

// `npm run demo`: registers real tools as webhooks of an endpoint on this machine, and runs them through every protocol
// at once. Ends with 1 when a call did not give what the endpoint had answered.

/** How often each tool is called through each protocol. */
const ROUNDS = 3;

/** Calls in flight for each protocol. */
const IN_FLIGHT = 4;

const tools = corpusTools();
await using webhook = await startDemoWebhook();
const config = parseConfig({
  NODE_ENV: 'production',
  PORT: '0',
  DATABASE_URL: `file:${join(makeScratchFolder(), 'tools.db')}`,
  JWT_SECRET_KEY: randomUUID(),
  ENCRYPTION_KEY: Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64'),
  EGRESS_ALLOW: webhook.endpoint,
  LOG_LEVEL: 'error',
});
await using service = await startService(config, { logger: await createLogger('error', process.stderr) });
const token = service.issueToken({ userId: randomUUID() });

await registerTools();
const clients = createDemoClients(service.url, token);
const outcomes = await Promise.all(clients.map(runAll));
for (const client of clients) client.close();

process.stdout.write(`${tools.length} tools, each called ${ROUNDS} times through each protocol\n\n`);
process.stdout.write(
  `${formatTable(
    ['protocol', 'calls', 'successes', 'p50 ms', 'p99 ms'],
    outcomes.map(({ protocol, latencies, failures }) => [
      protocol,
      String(latencies.length),
      String(latencies.length - failures.length),
      show(percentile(latencies, 0.5)),
      show(percentile(latencies, 0.99)),
    ]),
  )}\n`,
);
const failures = outcomes.flatMap((outcome) => outcome.failures);
for (const failure of failures.slice(0, 10)) process.stderr.write(`${failure}\n`);
process.exitCode = failures.length === 0 ? 0 : 1;

async function registerTools(): Promise<void> {
  for (const tool of tools) {
    const definition = webhookDefinition(tool, `http://${webhook.endpoint}/${tool.name}`);
    const response = await fetch(`${service.url}${TOOLS_PATH}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: tool.name, definition }),
    });
    if (response.status !== 201) throw new Error(`${tool.name} was refused: ${await response.text()}`);
  }
}

/** Calls every tool through one protocol, several at a time. */
async function runAll(client: DemoClient, clientIndex: number) {
  const latencies: number[] = [];
  const failures: string[] = [];
  const random = createRandom(clientIndex);
  const calls: Call[] = Array.from({ length: ROUNDS }, () => tools)
    .flat()
    .map(({ name, parameters }, index) => ({
      id: `call_${index}`,
      name,
      arguments: makeArguments(parameters, random),
    }));
  const work = async () => {
    for (let call = calls.pop(); call; call = calls.pop()) {
      const start = performance.now();
      const fault = await faultOf(client, call, webhook);
      latencies.push(performance.now() - start);
      if (fault !== undefined) failures.push(`${client.protocol}, ${call.name}: ${fault}`);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  return { protocol: client.protocol, latencies, failures };
}

/** Runs a call; says what is wrong with what came of it, if anything is. */
async function faultOf(
  client: DemoClient,
  call: Call,
  { take }: Pick<DemoWebhook, 'take'>,
): Promise<string | undefined> {
  try {
    const { status, output } = await client.run(call);
    if (status !== 'success') return output;
    if (!take(output)) return `the endpoint never answered ${output}`;
    const answer = JSON.parse(output) as DemoAnswer;
    const isAsSent = answer.tool === call.name && isDeepStrictEqual(answer.arguments, call.arguments);
    return isAsSent ? undefined : `sent ${JSON.stringify(call)}, the endpoint answered ${output}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

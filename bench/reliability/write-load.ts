import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { signToken } from '../token.ts';

const TOOLS = '/ms7/api/v1/tools/';
const USERS = 20;
/** An answer that takes longer counts as none, in milliseconds. */
const ANSWER_LIMIT_MS = 10_000;

/** Changes that were acknowledged, and how long each took. */
export interface WriteLoad extends AsyncDisposable {
  /** The ids of the tools whose creation was acknowledged, and of those whose deletion was. */
  readonly created: ReadonlySet<string>;
  readonly deleted: ReadonlySet<string>;
  readonly faults: readonly string[];
  /** Writes at this rate, whether or not answers come, for so long; gives the times of the answers, in milliseconds. */
  run(options: { perSecond: number; forMs: number }): Promise<number[]>;
}

/** Creates and deletes tools over REST, every second write a deletion of one that was made before. */
export function createWriteLoad(origin: string, jwtKey: string): WriteLoad {
  const agent = new Agent({ connections: 32, bodyTimeout: ANSWER_LIMIT_MS, headersTimeout: ANSWER_LIMIT_MS });
  const tokens = Array.from({ length: USERS }, () => signToken(jwtKey, randomUUID()));
  const created = new Set<string>();
  const deleted = new Set<string>();
  const faults: string[] = [];
  const alive: { id: string; token: string }[] = [];
  let count = 0;

  async function create(token: string): Promise<void> {
    const name = `tool_${count}`;
    const { statusCode, body } = await request(`${origin}${TOOLS}`, {
      dispatcher: agent,
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        name,
        definition: {
          name,
          description: 'Does a thing.',
          parameters: { type: 'object', properties: {} },
          execution: { type: 'webhook', url: 'https://tools.example.com/hook' },
        },
      }),
    });
    const text = await body.text();
    if (statusCode !== 201) throw new Error(`POST answered ${statusCode}`);
    const { id } = JSON.parse(text) as { id: string };
    created.add(id);
    alive.push({ id, token });
  }

  async function remove({ id, token }: { id: string; token: string }): Promise<void> {
    const { statusCode, body } = await request(`${origin}${TOOLS}${id}/`, {
      dispatcher: agent,
      method: 'DELETE',
      headers: { authorization: `Bearer ${token}` },
    });
    await body.dump();
    if (statusCode !== 204) throw new Error(`DELETE answered ${statusCode}`);
    deleted.add(id);
  }

  async function write(times: number[]): Promise<void> {
    const start = performance.now();
    count++;
    const old = count % 2 === 0 ? alive.shift() : undefined;
    try {
      await (old ? remove(old) : create(tokens[count % USERS] ?? ''));
      times.push(performance.now() - start);
    } catch (error) {
      faults.push(error instanceof Error ? error.message : String(error));
    }
  }

  return {
    created,
    deleted,
    faults,
    async run({ perSecond, forMs }) {
      const times: number[] = [];
      const writes: Promise<void>[] = [];
      const start = performance.now();
      for (let due = start; due < start + forMs; due += 1000 / perSecond) {
        const pause = due - performance.now();
        if (pause > 1) await sleep(pause);
        writes.push(write(times));
      }
      await Promise.all(writes);
      return times;
    },
    [Symbol.asyncDispose]: () => agent.destroy(),
  };
}

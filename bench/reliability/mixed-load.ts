import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import grpc from '@grpc/grpc-js';
import { Pool } from 'undici';
import {
  CreateToolRequestSchema,
  DeleteToolRequestSchema,
  ListToolsRequestSchema,
  ToolSchema,
} from '../../src/gen/tool/tool_pb.ts';
import { signToken } from '../token.ts';

/** How one call ended, and when, by `performance.now()`. */
export interface Answer {
  readonly startedAt: number;
  readonly endedAt: number;
  /** `503` and `UNAVAILABLE` are `unavailable`; anything else than that and success is told as it is. */
  readonly outcome: string;
}

/** Concurrent reads and writes over REST and gRPC, of which it is known what was acknowledged. */
export interface MixedLoad extends AsyncDisposable {
  readonly answers: Answer[];
  /** Ids of tools whose creation was acknowledged and which nobody has tried to delete since. */
  readonly kept: Set<string>;
  /** Ids of tools whose deletion was acknowledged. */
  readonly deleted: Set<string>;
}

const TOOLS_PATH = '/ms7/api/v1/tools/';
/** A pause between two calls of a worker: the load is there to be seen through, not to be the most there can be. */
const PAUSE_MS = 10;
/** Tools that a worker keeps; beyond that it deletes. */
const MANY = 500;
const DEFINITION = {
  name: 'x',
  description: 'Does something.',
  parameters: { type: 'object', properties: {} },
  execution: { type: 'webhook', url: 'https://93.184.216.34/hook' },
};

interface Verbs {
  /** @returns the new tool's id. */
  create(name: string): Promise<string>;
  remove(id: string): Promise<void>;
  list(): Promise<void>;
}

/** Its message is the outcome. */
class CallFault extends Error {}

/** Begins at once, with so many users over each protocol. */
export function startMixedLoad(origin: string, key: string, users: number): MixedLoad {
  const pool = new Pool(origin, { connections: users });
  const client = new grpc.Client(new URL(origin).host, grpc.credentials.createInsecure());
  const answers: Answer[] = [];
  const kept = new Set<string>();
  const deleted = new Set<string>();
  let isOver = false;

  /** @returns undefined where the call failed. */
  async function timed<T>(work: () => Promise<T>): Promise<T | undefined> {
    const startedAt = performance.now();
    let outcome = 'ok';
    try {
      return await work();
    } catch (error) {
      outcome = error instanceof CallFault ? error.message : String(error);
      return undefined;
    } finally {
      answers.push({ startedAt, endedAt: performance.now(), outcome });
    }
  }

  async function work(verbs: Verbs): Promise<void> {
    const own: string[] = [];
    while (!isOver) {
      const dice = Math.random();
      const victim = own[0];
      if (dice < 0.5) {
        await timed(verbs.list);
      } else if (victim !== undefined && (dice < 0.6 || own.length > MANY)) {
        own.shift();
        kept.delete(victim);
        await timed(async () => {
          await verbs.remove(victim);
          deleted.add(victim);
        });
      } else {
        const id = await timed(() => verbs.create(`tool ${randomUUID()}`));
        if (id !== undefined) {
          own.push(id);
          kept.add(id);
        }
      }
      await sleep(PAUSE_MS);
    }
  }

  const workers = Array.from({ length: users }, () => {
    const authorization = `Bearer ${signToken(key, randomUUID())}`;
    return [work(restVerbs(pool, authorization)), work(grpcVerbs(client, authorization))];
  }).flat();
  return {
    answers,
    kept,
    deleted,
    async [Symbol.asyncDispose]() {
      isOver = true;
      await Promise.all(workers);
      await pool.close();
      client.close();
    },
  };
}

function restVerbs(pool: Pool, authorization: string): Verbs {
  const call = async (method: 'GET' | 'POST' | 'DELETE', path: string, status: number, body?: object) => {
    const response = await pool.request({
      method,
      path,
      headers: { authorization, ...(body ? { 'content-type': 'application/json' } : {}) },
      body: body ? JSON.stringify(body) : null,
    });
    const text = await response.body.text();
    if (response.statusCode === status) return text;
    throw new CallFault(
      response.statusCode === 503 ? 'unavailable' : `REST ${method} ${response.statusCode} ${text}`,
    );
  };
  return {
    async create(name) {
      return (
        JSON.parse(await call('POST', TOOLS_PATH, 201, { name, definition: DEFINITION })) as { id: string }
      ).id;
    },
    async remove(id) {
      await call('DELETE', `${TOOLS_PATH}${id}/`, 204);
    },
    async list() {
      await call('GET', `${TOOLS_PATH}?limit=10`, 200);
    },
  };
}

function grpcVerbs(client: grpc.Client, authorization: string): Verbs {
  const metadata = new grpc.Metadata();
  metadata.set('authorization', authorization);
  const call = <D extends DescMessage>(method: string, schema: D, request: MessageInitShape<D>) =>
    new Promise<Buffer>((resolve, reject) => {
      client.makeUnaryRequest(
        `/tool.ToolService/${method}`,
        (message: Buffer) => message,
        (bytes) => bytes,
        Buffer.from(toBinary(schema, create(schema, request))),
        metadata,
        (error, answer) => {
          if (answer) resolve(answer);
          else if (error?.code === grpc.status.UNAVAILABLE) reject(new CallFault('unavailable'));
          else reject(new CallFault(`gRPC ${method} ${error?.message}`));
        },
      );
    });
  return {
    async create(name) {
      const answer = await call('CreateTool', CreateToolRequestSchema, {
        tool: { name, definition: DEFINITION },
      });
      return fromBinary(ToolSchema, answer).id;
    },
    async remove(id) {
      await call('DeleteTool', DeleteToolRequestSchema, { id });
    },
    async list() {
      await call('ListTools', ListToolsRequestSchema, { pageSize: 10 });
    },
  };
}

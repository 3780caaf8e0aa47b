import { randomUUID } from 'node:crypto';
import type { JsonObject } from '@bufbuild/protobuf';
import { type Client, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { ToolService } from '../../src/gen/tool/tool_pb.ts';
import { TOOLS_PATH } from '../requests.ts';
import { JWT_KEY } from '../service-process.ts';
import { signToken } from '../token.ts';

/** What is to be found of a tool: its content, or that it is gone. */
export type State = string | null;

/** A tool that somebody changes: what the service has acknowledged, or where it was cut off, what may be. */
export interface TrackedTool {
  readonly userId: string;
  readonly name: string;
  /** Unknown until a creation was acknowledged, or was found to have been done. */
  id: string | undefined;
  allowed: readonly State[];
}

/** What is done over either protocol. Each rejects unless it was acknowledged. */
interface Changes {
  create(name: string, content: string): Promise<string>;
  update(id: string, name: string, content: string): Promise<void>;
  remove(id: string): Promise<void>;
}

const definitionOf = (name: string, content: string) => ({
  name,
  description: content,
  parameters: { type: 'object', properties: {} },
  execution: { type: 'webhook', url: 'https://tools.example.com/run' },
});

function changeByRest(origin: string, token: string, signal: AbortSignal): Changes {
  const send = async (method: string, path: string, status: number, body?: object) => {
    const response = await fetch(`${origin}${TOOLS_PATH}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: body ? JSON.stringify(body) : null,
      signal,
    });
    const text = await response.text();
    if (response.status !== status) throw new Error(`${method} answered ${response.status}: ${text}`);
    return text;
  };
  return {
    async create(name, content) {
      const body = { name, definition: definitionOf(name, content) };
      return (JSON.parse(await send('POST', '', 201, body)) as { id: string }).id;
    },
    async update(id, name, content) {
      await send('PATCH', `${id}/`, 200, { definition: definitionOf(name, content) });
    },
    async remove(id) {
      await send('DELETE', `${id}/`, 204);
    },
  };
}

function changeByGrpc(client: Client<typeof ToolService>, token: string, signal: AbortSignal): Changes {
  const options = { headers: { authorization: `Bearer ${token}` }, signal };
  const toTool = (name: string, content: string) => ({
    name,
    toolType: 'standard',
    definition: definitionOf(name, content) as JsonObject,
  });
  return {
    create: async (name, content) => (await client.createTool({ tool: toTool(name, content) }, options)).id,
    async update(id, name, content) {
      await client.updateTool(
        { tool: { ...toTool(name, content), id }, updateMask: { paths: ['definition'] } },
        options,
      );
    },
    async remove(id) {
      await client.deleteTool({ id }, options);
    },
  };
}

/** Somebody who changes tools of theirs, one change after another, until the service is gone. */
export interface Changer {
  /** @returns how many changes were acknowledged, when `signal` aborts or a change is not acknowledged. */
  run(origin: string, signal: AbortSignal): Promise<number>;
}

/** The tools that a changer goes on with; it makes new ones all the time. */
const MAX_OWN_TOOLS = 40;

/** @param tools where each tool that is created is noted. */
export function createChanger(protocol: 'rest' | 'grpc', tools: TrackedTool[]): Changer {
  const userId = randomUUID();
  const token = signToken(JWT_KEY, userId);
  const prefix = `tool-${userId.slice(0, 8)}`;
  let made = 0;
  let own: TrackedTool[] = [];

  async function changeOne(changes: Changes): Promise<void> {
    const kind = Math.random();
    const tool = own[Math.floor(Math.random() * own.length)];
    const content = `content ${randomUUID()}`;
    // What was there before, or what is there then, until it is known which.
    if (!tool?.id || (kind < 0.4 && own.length < MAX_OWN_TOOLS)) {
      const created: TrackedTool = {
        userId,
        name: `${prefix}-${++made}`,
        id: undefined,
        allowed: [null, content],
      };
      tools.push(created);
      created.id = await changes.create(created.name, content);
      created.allowed = [content];
      own.push(created);
    } else if (kind < 0.7) {
      tool.allowed = [...tool.allowed, content];
      await changes.update(tool.id, tool.name, content);
      tool.allowed = [content];
    } else {
      tool.allowed = [...tool.allowed, null];
      await changes.remove(tool.id);
      tool.allowed = [null];
      own = own.filter((other) => other !== tool);
    }
  }

  return {
    async run(origin, signal) {
      // What was cut off in the last round and turned out not to be there.
      own = own.filter(({ allowed }) => allowed[0] !== null);
      const changes =
        protocol === 'rest'
          ? changeByRest(origin, token, signal)
          : changeByGrpc(createClient(ToolService, createGrpcTransport({ baseUrl: origin })), token, signal);
      for (let acknowledged = 0; ; acknowledged++) {
        try {
          if (signal.aborted) return acknowledged;
          await changeOne(changes);
        } catch (error) {
          if (!signal.aborted && !isCutOff(error)) throw error;
          return acknowledged;
        }
      }
    },
  };
}

/** Whether there was no answer, rather than one that refuses. */
function isCutOff(error: unknown): boolean {
  if (error instanceof TypeError) return true;
  return (
    error instanceof Error && /ECONN|EPIPE|socket|aborted|closed|terminated|hang up/i.test(error.message)
  );
}

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type Client, createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcWebTransport } from '@connectrpc/connect-web';
import grpc from '@grpc/grpc-js';
import {
  ExecuteMultipleToolsRequestSchema,
  type ExecuteMultipleToolsResponse,
  ExecuteMultipleToolsResponseSchema,
  ToolService,
} from '../src/gen/tool/tool_pb.ts';
import type { JsonObject } from '../src/json.ts';
import { EXECUTE_PATH } from './requests.ts';

/** What a model asks to be run. */
export interface Call {
  readonly id: string;
  readonly name: string;
  readonly arguments: JsonObject;
}

/** What came of it: JSON text on success, words on error. */
export interface Result {
  readonly status: string;
  readonly output: string;
}

/** A client of one of the protocols that the service speaks. */
export interface DemoClient {
  readonly protocol: string;
  run(call: Call): Promise<Result>;
  close(): void;
}

/** A client for each protocol, made with the libraries that others would use. */
export function createDemoClients(origin: string, token: string): DemoClient[] {
  const authorization = `Bearer ${token}`;
  return [
    createRestClient(origin, authorization),
    createGrpcClient(new URL(origin).host, authorization),
    createConnectClient(
      'gRPC-Web',
      createClient(ToolService, createGrpcWebTransport({ baseUrl: origin })),
      authorization,
    ),
    createConnectClient(
      'Connect',
      createClient(ToolService, createConnectTransport({ baseUrl: origin })),
      authorization,
    ),
  ];
}

function createRestClient(origin: string, authorization: string): DemoClient {
  return {
    protocol: 'REST',
    async run(call) {
      const response = await fetch(`${origin}${EXECUTE_PATH}`, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json' },
        body: JSON.stringify({ tool_calls: [call] }),
      });
      if (!response.ok) throw new Error(`HTTP ${response.status}: ${await response.text()}`);
      return only(((await response.json()) as { results: Result[] }).results);
    },
    close: () => undefined,
  };
}

function createGrpcClient(host: string, authorization: string): DemoClient {
  const client = new grpc.Client(host, grpc.credentials.createInsecure());
  const metadata = new grpc.Metadata();
  metadata.set('authorization', authorization);
  return {
    protocol: 'gRPC',
    async run(call) {
      const request = create(ExecuteMultipleToolsRequestSchema, { toolCalls: [call] });
      const response = await new Promise<ExecuteMultipleToolsResponse>((resolve, reject) => {
        client.makeUnaryRequest(
          '/tool.ToolService/ExecuteMultipleTools',
          (message) => Buffer.from(toBinary(ExecuteMultipleToolsRequestSchema, message)),
          (bytes) => fromBinary(ExecuteMultipleToolsResponseSchema, bytes),
          request,
          metadata,
          (error, answer) => (answer ? resolve(answer) : reject(error)),
        );
      });
      return only(response.results);
    },
    close: () => client.close(),
  };
}

function createConnectClient(
  protocol: string,
  client: Client<typeof ToolService>,
  authorization: string,
): DemoClient {
  return {
    protocol,
    async run(call) {
      const { results } = await client.executeMultipleTools(
        { toolCalls: [call] },
        { headers: { authorization } },
      );
      return only(results);
    },
    close: () => undefined,
  };
}

function only(results: readonly Result[]): Result {
  const [result] = results;
  if (!result || results.length > 1) throw new Error(`expected one result, got ${results.length}`);
  return result;
}

import { create, toBinary } from '@bufbuild/protobuf';
import { GetToolDefinitionsRequestSchema, ValidateToolsRequestSchema } from '../src/gen/tool/tool_pb.ts';
import type { HttpRequest } from './load-job.ts';
import { signToken } from './token.ts';

export const TOOLS_PATH = '/ms7/api/v1/tools/';
export const VALIDATE_PATH = '/ms7/internal/v1/tools/validate/';
export const EXECUTE_PATH = '/ms7/api/v1/execute/';

/** A user and the ids of the tools that they own. */
export interface Owner {
  readonly userId: string;
  readonly toolIds: readonly string[];
}

/** A gRPC message with its prefix: not compressed, its length in four bytes. */
export function toFrame(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
}

/** A unary gRPC call that bears a token. */
export function grpcRequest(rpc: string, token: string, message: Uint8Array): HttpRequest {
  return {
    method: 'POST',
    path: `/tool.ToolService/${rpc}`,
    headers: { 'content-type': 'application/grpc', te: 'trailers', authorization: `Bearer ${token}` },
    body: toFrame(message),
  };
}

/** What is asked, for a user who bears a token, about the first five of their tools. */
export const requestsOf = {
  validateTools: ({ userId, toolIds }: Owner, key: string) =>
    grpcRequest(
      'ValidateTools',
      signToken(key, userId),
      toBinary(
        ValidateToolsRequestSchema,
        create(ValidateToolsRequestSchema, { userId, toolIds: toolIds.slice(0, 5) }),
      ),
    ),

  getToolDefinitions: ({ userId, toolIds }: Owner, key: string) =>
    grpcRequest(
      'GetToolDefinitions',
      signToken(key, userId),
      toBinary(
        GetToolDefinitionsRequestSchema,
        create(GetToolDefinitionsRequestSchema, { userId, toolIds: toolIds.slice(0, 5) }),
      ),
    ),

  restList: ({ userId }: Owner, key: string): HttpRequest => ({
    method: 'GET',
    path: TOOLS_PATH,
    headers: { authorization: `Bearer ${signToken(key, userId)}` },
    body: null,
  }),

  restValidate: ({ userId, toolIds }: Owner, key: string): HttpRequest => ({
    method: 'POST',
    path: VALIDATE_PATH,
    headers: { authorization: `Bearer ${signToken(key, userId)}`, 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify({ tool_ids: toolIds.slice(0, 5) })),
  }),
} satisfies Record<string, (owner: Owner, key: string) => HttpRequest>;

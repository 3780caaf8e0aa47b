import { once } from 'node:events';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { create, toBinary } from '@bufbuild/protobuf';
import { GetToolDefinitionsResponseSchema, ValidateToolsResponseSchema } from '../../src/gen/tool/tool_pb.ts';
import { exampleDefinitions } from '../examples.ts';
import { toFrame } from '../requests.ts';
import { servePeer } from './peer.ts';

// What Node's HTTP/2 costs alone: reads a request to its end, and answers with bytes that were made before.

const answers: Readonly<Record<string, Buffer>> = {
  '/tool.ToolService/ValidateTools': toFrame(
    toBinary(ValidateToolsResponseSchema, create(ValidateToolsResponseSchema, { authorized: true })),
  ),
  '/tool.ToolService/GetToolDefinitions': toFrame(
    toBinary(
      GetToolDefinitionsResponseSchema,
      create(GetToolDefinitionsResponseSchema, { definitions: exampleDefinitions.slice(0, 5) }),
    ),
  ),
};

const server = createServer();
server.on('stream', (stream, { ':path': path = '' }) => {
  const answer = answers[path];
  stream.resume();
  stream.on('end', () => {
    stream.respond(
      { ':status': answer ? 200 : 404, 'content-type': 'application/grpc+proto' },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(answer);
  });
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
servePeer((server.address() as AddressInfo).port);

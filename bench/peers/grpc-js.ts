import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { GetToolDefinitionsResponseSchema } from '../../src/gen/tool/tool_pb.ts';
import { packageRoot } from '../../src/package-root.ts';
import { exampleDefinitions } from '../examples.ts';
import { servePeer } from './peer.ts';

// A gRPC server as most people write one in Node, without any work to do: it decodes the request, encodes a constant.

const packages = loadSync('tool/tool.proto', { includeDirs: [join(packageRoot, 'proto')] });
const service = packages['tool.ToolService'] as grpc.ServiceDefinition;

/** The definitions in the shape that this library's codec wants. */
const definitions = service.GetToolDefinitions?.responseDeserialize(
  Buffer.from(
    toBinary(
      GetToolDefinitionsResponseSchema,
      create(GetToolDefinitionsResponseSchema, { definitions: exampleDefinitions.slice(0, 5) }),
    ),
  ),
);

const answerWith =
  (answer: object): grpc.handleUnaryCall<object, object> =>
  (_call, done) =>
    done(null, answer);

const server = new grpc.Server();
server.addService(service, {
  ValidateTools: answerWith({ authorized: true }),
  GetToolDefinitions: answerWith(definitions as object),
});
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  servePeer(port);
});

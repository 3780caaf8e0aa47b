import { createRegistry, type DescFile, type DescService, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Code } from '@connectrpc/connect';
import type { ServerReflectionRequest } from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import type { ServerReflectionRequest as AlphaRequest } from '../../gen/grpc/reflection/v1alpha/reflection_pb.ts';

type ReflectionRequest = ServerReflectionRequest | AlphaRequest;

/**
 * gRPC's server reflection, by which `buf curl` and its like list and call services without their files:
 * https://github.com/grpc/grpc/blob/master/doc/server-reflection.md. The messages of v1 and v1alpha are alike, so the
 * one implementation serves both.
 */
export function createReflectionRpcs<R extends ReflectionRequest>(services: readonly DescService[]) {
  const files = new Map<string, DescFile>();
  for (const service of services) collect(service.file, files);
  const registry = createRegistry(...files.values());
  const listed = { service: services.map(({ typeName }) => ({ name: typeName })) };

  /** A file and all that it imports, its imports first. */
  function withImports(file: DescFile) {
    const needed = new Map<string, DescFile>();
    collect(file, needed);
    const fileDescriptorProto = [...needed.values()].map(({ proto }) =>
      toBinary(FileDescriptorProtoSchema, proto),
    );
    return { case: 'fileDescriptorResponse' as const, value: { fileDescriptorProto } };
  }

  function fileOfSymbol(symbol: string): DescFile | undefined {
    const type = registry.get(symbol);
    if (type) return type.file;
    // A method or a field: its parent is in the registry.
    const dot = symbol.lastIndexOf('.');
    return dot > 0 ? registry.get(symbol.slice(0, dot))?.file : undefined;
  }

  function answer({ messageRequest: asked }: ReflectionRequest) {
    switch (asked.case) {
      case 'listServices':
        return { case: 'listServicesResponse' as const, value: listed };
      case 'fileByFilename': {
        const file = files.get(asked.value);
        return file ? withImports(file) : notFound('file');
      }
      case 'fileContainingSymbol': {
        const file = fileOfSymbol(asked.value);
        return file ? withImports(file) : notFound('symbol');
      }
      case 'fileContainingExtension':
      case 'allExtensionNumbersOfType':
        return notFound('extension');
      case undefined:
        return {
          case: 'errorResponse' as const,
          value: { errorCode: Code.InvalidArgument, errorMessage: 'empty request' },
        };
      default:
        return asked satisfies never;
    }
  }

  return {
    async *serverReflectionInfo(requests: AsyncIterable<R>) {
      for await (const request of requests) {
        yield { validHost: request.host, originalRequest: request, messageResponse: answer(request) };
      }
    },
  };
}

function notFound(what: string) {
  return {
    case: 'errorResponse' as const,
    value: { errorCode: Code.NotFound, errorMessage: `${what} not found` },
  };
}

function collect(file: DescFile, into: Map<string, DescFile>): void {
  const name = `${file.name}.proto`;
  if (into.has(name)) return;
  for (const dependency of file.dependencies) collect(dependency, into);
  into.set(name, file);
}

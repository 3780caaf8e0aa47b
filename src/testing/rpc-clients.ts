import { join } from 'node:path';
import { type DescMethodUnary, fromJson, type JsonValue as ProtoJson, toJson } from '@bufbuild/protobuf';
import { Code, ConnectError, type Transport } from '@connectrpc/connect';
import { createConnectTransport, createGrpcWebTransport } from '@connectrpc/connect-web';
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { loadSync, type MethodDefinition, type ServiceDefinition } from '@grpc/proto-loader';
import { ToolService } from '../gen/tool/tool_pb.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { packageRoot } from '../package-root.ts';

/** How an RPC ended, alike for every protocol. */
export interface RpcAnswer {
  /** gRPC's name of the status: `OK`, `NOT_FOUND` and so on. */
  readonly code: string;
  /** Empty when the RPC succeeded. */
  readonly message: string;
  /** The response in protobuf's JSON mapping, fields of default value included; empty when the RPC failed. */
  readonly body: JsonObject;
  /** Headers and trailers. */
  readonly metadata: Readonly<Record<string, string>>;
}

export interface RpcOptions {
  /** Sent as `Authorization: Bearer …`. */
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Calls the methods of ToolService with requests in protobuf's JSON mapping. Close it by scope: `using`. */
export interface RpcClient extends Disposable {
  call(method: string, request: JsonObject, options?: RpcOptions): Promise<RpcAnswer>;
}

export interface Protocol {
  readonly name: string;
  connect(url: string): RpcClient;
}

/** Each protocol that the port speaks, for tests that must hold over all of them. */
export const protocols: readonly Protocol[] = [
  { name: 'gRPC', connect: (url) => connectGrpc(url, join(packageRoot, 'proto')) },
  {
    name: 'gRPC-Web',
    connect: (baseUrl) => overTransport(createGrpcWebTransport({ baseUrl, useBinaryFormat: true })),
  },
  {
    name: 'Connect (binary)',
    connect: (baseUrl) => overTransport(createConnectTransport({ baseUrl, useBinaryFormat: true })),
  },
  { name: 'Connect (JSON)', connect: connectJson },
];

/** gRPC with the stubs of the service that this one replaces, which know three RPCs and none of the newer fields. */
export const oldGrpc: Protocol = {
  name: 'gRPC (stubs of the old service)',
  connect: (url) => connectGrpc(url, join(packageRoot, '.ci', 'wire-baseline')),
};

/** For the three RPCs of the old service. */
export const oldProtocols: readonly Protocol[] = [oldGrpc, ...protocols];

/** grpc-js on the proto files of a folder, by which it is independent of what the service is built from. */
function connectGrpc(url: string, protoFolder: string): RpcClient {
  const definition = loadSync('tool/tool.proto', {
    includeDirs: [protoFolder],
    defaults: true,
    longs: Number,
    enums: String,
  });
  const methods = definition['tool.ToolService'] as ServiceDefinition;
  const client = new Client(new URL(url).host, credentials.createInsecure());
  return {
    call(name, request, { token, headers, timeoutMs, signal } = {}) {
      const method = methods[name] as MethodDefinition<object, object>;
      const metadata = new Metadata();
      for (const [key, value] of Object.entries(allHeaders(token, headers))) metadata.set(key, value);
      return new Promise((resolve) => {
        const finish = (error: ServiceError | null, response?: object) => {
          const received = { ...textOf(initial), ...(error ? textOf(error.metadata) : {}) };
          resolve({
            code: error ? (status[error.code] ?? String(error.code)) : 'OK',
            message: error?.details ?? '',
            body: response ? (fromGrpc('', response) as JsonObject) : {},
            metadata: received,
          });
        };
        let initial = new Metadata();
        const call = client.makeUnaryRequest(
          method.path,
          method.requestSerialize,
          method.responseDeserialize,
          toGrpc('', request) as object,
          metadata,
          timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs },
          finish,
        );
        call.on('metadata', (received: Metadata) => {
          initial = received;
        });
        signal?.addEventListener('abort', () => call.cancel(), { once: true });
      });
    },
    [Symbol.dispose]: () => client.close(),
  };
}

function textOf(metadata: Metadata | undefined): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata?.getMap() ?? {}).map(([key, value]) => [key, value.toString()]),
  );
}

const STRUCTS = new Set(['arguments', 'definition', 'definitions']);
const TIMESTAMPS = new Set(['createdAt', 'updatedAt']);

/** Protobuf's JSON mapping of a message to what proto-loader takes. */
function toGrpc(field: string, value: JsonValue): unknown {
  if (Array.isArray(value)) return value.map((item) => toGrpc(field, item));
  if (field === 'updateMask') return { paths: String(value).split(',').filter(Boolean).map(toSnakeCase) };
  if (typeof value !== 'object' || value === null) return value;
  if (STRUCTS.has(field)) return toStruct(value);
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, toGrpc(key, child)]));
}

function toSnakeCase(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** What proto-loader gives to protobuf's JSON mapping. */
function fromGrpc(field: string, value: unknown): JsonValue {
  if (Array.isArray(value)) return value.map((item) => fromGrpc(field, item));
  if (typeof value !== 'object' || value === null) return value as JsonValue;
  if (STRUCTS.has(field)) return fromStruct(value as Struct);
  if (TIMESTAMPS.has(field)) {
    const { seconds, nanos } = value as { seconds: number; nanos: number };
    return new Date(seconds * 1000 + nanos / 1e6).toISOString();
  }
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, fromGrpc(key, child)]));
}

/** google.protobuf.Struct and Value as proto-loader has them. */
export type Struct = { fields: Record<string, Value> };
export type Value = {
  kind?: string;
  nullValue?: 0 | string;
  numberValue?: number;
  stringValue?: string;
  boolValue?: boolean;
  structValue?: Struct;
  listValue?: { values: Value[] };
};

function toStruct(object: JsonObject): Struct {
  return {
    fields: Object.fromEntries(Object.entries(object).map(([key, value]) => [key, toValue(value)])),
  };
}

function toValue(value: JsonValue): Value {
  if (value === null) return { nullValue: 0 };
  if (typeof value === 'number') return { numberValue: value };
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  return Array.isArray(value)
    ? { listValue: { values: value.map(toValue) } }
    : { structValue: toStruct(value) };
}

function fromStruct({ fields }: Struct): JsonObject {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, fromValue(value)]));
}

function fromValue(value: Value): JsonValue {
  if (value.structValue) return fromStruct(value.structValue);
  if (value.listValue) return value.listValue.values.map(fromValue);
  return value.stringValue ?? value.numberValue ?? value.boolValue ?? null;
}

/** A transport of connect-web, as browsers have it. */
function overTransport(transport: Transport): RpcClient {
  return {
    async call(name, request, { token, headers, timeoutMs, signal } = {}) {
      const method = methodOf(name);
      const message = fromJson(method.input, request as ProtoJson);
      try {
        const response = await transport.unary(
          method,
          signal,
          timeoutMs,
          allHeaders(token, headers),
          message as never,
        );
        const body = toJson(method.output, response.message, { alwaysEmitImplicit: true }) as JsonObject;
        return { code: 'OK', message: '', body, metadata: merged(response.header, response.trailer) };
      } catch (thrown) {
        const error = ConnectError.from(thrown);
        const code = toSnakeCase(Code[error.code]).slice(1).toUpperCase();
        return { code, message: error.rawMessage, body: {}, metadata: merged(error.metadata) };
      }
    },
    [Symbol.dispose]: () => {},
  };
}

/** Connect as anybody speaks it who has no library for it. */
export function connectJson(url: string): RpcClient {
  return {
    async call(name, request, { token, headers, timeoutMs, signal } = {}) {
      const response = await fetch(`${url}/tool.ToolService/${name}`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(timeoutMs === undefined ? {} : { 'connect-timeout-ms': String(timeoutMs) }),
          ...allHeaders(token, headers),
        },
        body: JSON.stringify(request),
        ...(signal ? { signal } : {}),
      });
      const body = (await response.json()) as JsonObject;
      const metadata = merged(response.headers);
      if (response.ok) return { code: 'OK', message: '', body: withDefaults(name, body), metadata };
      return { code: String(body.code).toUpperCase(), message: String(body.message), body: {}, metadata };
    },
    [Symbol.dispose]: () => {},
  };
}

/** A response with the fields that JSON leaves out because they have their default value. */
function withDefaults(name: string, body: JsonObject): JsonObject {
  const { output } = methodOf(name);
  return toJson(output, fromJson(output, body as ProtoJson), { alwaysEmitImplicit: true }) as JsonObject;
}

function methodOf(name: string): DescMethodUnary {
  return ToolService.methods.find((known) => known.name === name) as DescMethodUnary;
}

function allHeaders(token: string | undefined, headers: RpcOptions['headers']): Record<string, string> {
  return { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers };
}

function merged(...all: Headers[]): Record<string, string> {
  return Object.fromEntries(all.flatMap((headers) => [...headers]));
}

import { join } from 'node:path';
import {
  type DescMethod,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromJson,
  type JsonValue as ProtoJson,
  toJson,
} from '@bufbuild/protobuf';
import { Code, ConnectError, type Transport } from '@connectrpc/connect';
import { createAsyncIterable } from '@connectrpc/connect/protocol';
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

/** How a streaming RPC went on and ended. */
export interface StreamAnswer extends Omit<RpcAnswer, 'body'> {
  /** The messages that came, as `body` has the one of a unary RPC. */
  readonly messages: readonly JsonObject[];
}

export interface StreamOptions extends RpcOptions {
  /** Hears of each message when it comes. The next one is not read before its promise has resolved. */
  readonly onMessage?: (message: JsonObject) => void | Promise<void>;
}

/** Calls the methods of ToolService with requests in protobuf's JSON mapping. Close it by scope: `using`. */
export interface RpcClient extends Disposable {
  call(method: string, request: JsonObject, options?: RpcOptions): Promise<RpcAnswer>;
  /** Calls a method that answers with a stream. */
  stream(method: string, request: JsonObject, options?: StreamOptions): Promise<StreamAnswer>;
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
  const argumentsFor = (name: string, request: JsonObject, { token, headers, timeoutMs }: RpcOptions) => {
    const method = methods[name] as MethodDefinition<object, object>;
    const metadata = new Metadata();
    for (const [key, value] of Object.entries(allHeaders(token, headers))) metadata.set(key, value);
    return [
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      toGrpc('', request) as object,
      metadata,
      timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs },
    ] as const;
  };
  return {
    call(name, request, options = {}) {
      return new Promise((resolve) => {
        const finish = (error: ServiceError | null, response?: object) => {
          const body = response ? (fromGrpc('', response) as JsonObject) : {};
          resolve({ ...endOfGrpc(error, initial), body });
        };
        let initial = new Metadata();
        const call = client.makeUnaryRequest(...argumentsFor(name, request, options), finish);
        call.on('metadata', (received: Metadata) => {
          initial = received;
        });
        options.signal?.addEventListener('abort', () => call.cancel(), { once: true });
      });
    },
    stream(name, request, { onMessage, ...options } = {}) {
      return new Promise((resolve, reject) => {
        const messages: JsonObject[] = [];
        let initial = new Metadata();
        let failure: ServiceError | null = null;
        const call = client.makeServerStreamRequest(...argumentsFor(name, request, options));
        call.on('metadata', (received: Metadata) => {
          initial = received;
        });
        call.on('data', (response: object) => {
          const message = fromGrpc('', response) as JsonObject;
          messages.push(message);
          call.pause();
          Promise.resolve(onMessage?.(message)).then(() => call.resume(), reject);
        });
        call.on('error', (error: ServiceError) => {
          failure = error;
        });
        // Comes after the error, once all that had arrived before it is read.
        call.on('end', () => resolve({ ...endOfGrpc(failure, initial), messages }));
        options.signal?.addEventListener('abort', () => call.cancel(), { once: true });
      });
    },
    [Symbol.dispose]: () => client.close(),
  };
}

function endOfGrpc(error: ServiceError | null, initial: Metadata): Omit<RpcAnswer, 'body'> {
  return {
    code: error ? (status[error.code] ?? String(error.code)) : 'OK',
    message: error?.details ?? '',
    metadata: { ...textOf(initial), ...(error ? textOf(error.metadata) : {}) },
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
      const method = methodNamed(name) as DescMethodUnary;
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
        return { ...endOfConnect(thrown), body: {} };
      }
    },
    async stream(name, request, { onMessage, ...options } = {}) {
      const method = methodNamed(name) as DescMethodServerStreaming;
      const messages: JsonObject[] = [];
      try {
        const response = await transport.stream(
          method,
          options.signal,
          options.timeoutMs,
          allHeaders(options.token, options.headers),
          createAsyncIterable([fromJson(method.input, request as ProtoJson) as never]),
        );
        for await (const received of response.message) {
          const message = toJson(method.output, received, { alwaysEmitImplicit: true }) as JsonObject;
          messages.push(message);
          await onMessage?.(message);
        }
        return { code: 'OK', message: '', messages, metadata: merged(response.header, response.trailer) };
      } catch (thrown) {
        return { ...endOfConnect(thrown), messages };
      }
    },
    [Symbol.dispose]: () => {},
  };
}

function endOfConnect(thrown: unknown): Omit<RpcAnswer, 'body'> {
  const error = ConnectError.from(thrown);
  const code = toSnakeCase(Code[error.code]).slice(1).toUpperCase();
  return { code, message: error.rawMessage, metadata: merged(error.metadata) };
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
    async stream(name, request, { token, headers, timeoutMs, signal, onMessage } = {}) {
      const messages: JsonObject[] = [];
      const response = await fetch(`${url}/tool.ToolService/${name}`, {
        method: 'POST',
        headers: {
          'content-type': 'application/connect+json',
          ...(timeoutMs === undefined ? {} : { 'connect-timeout-ms': String(timeoutMs) }),
          ...allHeaders(token, headers),
        },
        body: inEnvelope(JSON.stringify(request)),
        ...(signal ? { signal } : {}),
      });
      for await (const { isLast, data } of envelopesOf(response)) {
        if (isLast) {
          const { error, metadata: trailers } = data as ConnectEnd;
          return {
            code: error ? error.code.toUpperCase() : 'OK',
            message: error?.message ?? '',
            messages,
            metadata: { ...merged(response.headers), ...textsOf(trailers) },
          };
        }
        const message = withDefaults(name, data);
        messages.push(message);
        await onMessage?.(message);
      }
      throw new Error(`the stream broke off after ${messages.length} messages`);
    },
    [Symbol.dispose]: () => {},
  };
}

/** How a stream of Connect ends (Connect protocol, "Streaming RPCs"). */
interface ConnectEnd {
  readonly error?: { readonly code: string; readonly message?: string };
  readonly metadata?: Readonly<Record<string, readonly string[]>>;
}

const END_OF_STREAM = 2;
const ENVELOPE_HEAD = 5;

/** A message of a stream: a byte of flags, the length, and the data. */
function inEnvelope(text: string): Buffer {
  const head = Buffer.alloc(ENVELOPE_HEAD);
  head.writeUInt32BE(Buffer.byteLength(text), 1);
  return Buffer.concat([head, Buffer.from(text)]);
}

async function* envelopesOf(response: Response): AsyncIterable<{ isLast: boolean; data: JsonObject }> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of response.body ?? []) {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= ENVELOPE_HEAD) {
      const end = ENVELOPE_HEAD + bytes.readUInt32BE(1);
      if (bytes.length < end) break;
      const data = JSON.parse(bytes.toString('utf8', ENVELOPE_HEAD, end)) as JsonObject;
      yield { isLast: bytes[0] === END_OF_STREAM, data };
      bytes = bytes.subarray(end);
    }
  }
}

function textsOf(trailers: ConnectEnd['metadata'] = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(trailers).map(([key, values]) => [key, values.join(', ')]));
}

/** A response with the fields that JSON leaves out because they have their default value. */
function withDefaults(name: string, body: JsonObject): JsonObject {
  const { output } = methodNamed(name);
  return toJson(output, fromJson(output, body as ProtoJson), { alwaysEmitImplicit: true }) as JsonObject;
}

function methodNamed(name: string): DescMethod {
  const method = ToolService.methods.find((known) => known.name === name);
  if (!method) throw new Error(`there is no method ${name}`);
  return method;
}

function allHeaders(token: string | undefined, headers: RpcOptions['headers']): Record<string, string> {
  return { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers };
}

function merged(...all: Headers[]): Record<string, string> {
  return Object.fromEntries(all.flatMap((headers) => [...headers]));
}

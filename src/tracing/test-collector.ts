import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/** A span as a receiver of OTLP understands it. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client. */
  readonly kind: number;
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly isError: boolean;
  readonly serviceName: unknown;
}

export interface TestCollector extends AsyncDisposable {
  /** Without a slash at the end. */
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  /** What it was asked, as `METHOD path content-type`. */
  readonly requests: readonly string[];
}

/** A receiver of traces on loopback. `answer` stands in for its 200. */
export async function startTestCollector(
  answer: (response: ServerResponse) => void = (response) => response.end(),
): Promise<TestCollector> {
  const spans: ReceivedSpan[] = [];
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      requests.push(`${request.method} ${request.url} ${request.headers['content-type']}`);
      spans.push(...readRequest(Buffer.concat(chunks)));
      answer(response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

// The numbers of the fields are those of opentelemetry-proto: collector/trace/v1, trace/v1, resource/v1, common/v1.

function readRequest(bytes: Uint8Array): ReceivedSpan[] {
  return messages(bytes, 1).flatMap((resourceSpans) => {
    const [resource = new Uint8Array()] = messages(resourceSpans, 1);
    const serviceName = attributesOf(resource, 1)['service.name'];
    return messages(resourceSpans, 2)
      .flatMap((scopeSpans) => messages(scopeSpans, 2))
      .map((span) => ({ ...readSpan(span), serviceName }));
  });
}

function readSpan(bytes: Uint8Array): Omit<ReceivedSpan, 'serviceName'> {
  const fields = readFields(bytes);
  const hex = (number: number) => Buffer.from((fields.get(number)?.[0] as Uint8Array) ?? []).toString('hex');
  const text = (number: number) => Buffer.from((fields.get(number)?.[0] as Uint8Array) ?? []).toString();
  const [status = new Uint8Array()] = messages(bytes, 15);
  return {
    traceId: hex(1),
    spanId: hex(2),
    traceState: text(3),
    parentSpanId: hex(4),
    name: text(5),
    kind: Number(fields.get(6)?.[0]),
    attributes: attributesOf(bytes, 9),
    isError: Number(readFields(status).get(3)?.[0] ?? 0) === 2,
  };
}

/** A list of KeyValue, of whose values only texts (1) and whole numbers (3) are in use. */
function attributesOf(bytes: Uint8Array, number: number): Record<string, string | number> {
  return Object.fromEntries(
    messages(bytes, number).map((pair) => {
      const [key = '', value = new Uint8Array()] = [messages(pair, 1)[0], messages(pair, 2)[0]];
      const [text] = messages(value, 1);
      const [whole] = readFields(value).get(3) ?? [];
      return [Buffer.from(key).toString(), text ? Buffer.from(text).toString() : Number(whole)];
    }),
  );
}

function messages(bytes: Uint8Array, number: number): Uint8Array[] {
  return (readFields(bytes).get(number) ?? []).filter((value) => value instanceof Uint8Array);
}

function readFields(bytes: Uint8Array): Map<number, (Uint8Array | string | bigint | number)[]> {
  const fields = new Map<number, (Uint8Array | string | bigint | number)[]>();
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    fields.set(number, [...(fields.get(number) ?? []), readValue(reader, type)]);
  }
  return fields;
}

function readValue(reader: BinaryReader, type: WireType): Uint8Array | string | bigint | number {
  if (type === WireType.LengthDelimited) return reader.bytes();
  if (type === WireType.Bit64) return reader.fixed64();
  if (type === WireType.Bit32) return reader.fixed32();
  return reader.int64();
}

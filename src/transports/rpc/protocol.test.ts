import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { credentials, makeGenericClientConstructor } from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer, loadSync, type ServiceDefinition } from '@grpc/proto-loader';
import { afterAll, describe, expect, test } from 'vitest';
import { Sqlite } from '../../db/sqlite/driver.ts';
import { packageRoot } from '../../package-root.ts';
import { makeToken } from '../../testing/make-token.ts';
import { protocols, type RpcOptions } from '../../testing/rpc-clients.ts';
import { startTestService } from '../../testing/start-test-service.ts';

const ORIGIN = 'https://app.example.com';
const service = await startTestService({ CORS_ORIGINS: ORIGIN });
afterAll(() => service.close());

const token = makeToken();
const VALIDATE = '/tool.ToolService/ValidateTools';
const EXECUTE = '/tool.ToolService/ExecuteMultipleTools';
const UNREADABLE = 'The message of the request cannot be parsed.';
const TOO_LARGE = 'The message of the request has more than 4194304 bytes (MAX_MESSAGE_BYTES).';

async function post(path: string, type: string, body: Buffer | string, headers = {}) {
  const response = await fetch(`${service.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': type, authorization: `Bearer ${token}`, ...headers },
    body,
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** gRPC's status and message of the answers to these bytes, by gRPC and by gRPC-Web. */
async function postFrames(path: string, body: Buffer, headers: Record<string, string> = {}) {
  const session = connectHttp2(service.url);
  const grpc = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' };
  const stream = session.request({ ...grpc, authorization: `Bearer ${token}`, ...headers });
  const answer: Record<string, unknown> = {};
  for (const event of ['response', 'trailers']) stream.on(event, (part) => Object.assign(answer, part));
  stream.resume().end(body);
  await once(stream, 'close');
  session.close();
  const web = await post(path, 'application/grpc-web+proto', body, headers);
  const ofWeb = (key: string) => web.headers.get(key) ?? new RegExp(`${key}: (.*)\r\n`).exec(web.text)?.[1];
  return [(key: string) => answer[key], ofWeb].map((said) => [
    Number(said('grpc-status')),
    decodeURIComponent(String(said('grpc-message') ?? '')),
  ]);
}

const varint = (value: number): Buffer =>
  value < 128 ? Buffer.of(value) : Buffer.concat([Buffer.of((value & 127) | 128), varint(value >>> 7)]);
/** What stands before a field of so many bytes. */
const tag = (no: number, length: number) => Buffer.concat([Buffer.of((no << 3) | 2), varint(length)]);

describe('messages', () => {
  function frame(message: Buffer | string, flags = 0): Buffer {
    const header = Buffer.of(flags, 0, 0, 0, 0);
    header.writeUInt32BE(message.length, 1);
    return Buffer.concat([header, Buffer.from(message as string)]);
  }
  /** A request of one call, whose arguments are so many Structs in one another around a value of no kind. */
  function nested(levels: number): Buffer {
    const parts: Buffer[] = [];
    let length = 0;
    const prepend = (part: Buffer) => {
      length += part.length;
      parts.push(part);
    };
    for (let level = levels - 1; level >= 0; level--) {
      prepend(tag(2, length)); // the value of an entry of a Struct, whose key is `k`
      prepend(Buffer.of(0x0a, 1, 0x6b));
      prepend(tag(1, length)); // the entry
      prepend(tag(level === 0 ? 3 : 5, length)); // a call's arguments, or a value's Struct
    }
    prepend(tag(1, length)); // the call
    return Buffer.concat(parts.reverse());
  }
  const cut = Buffer.of(0x0a, 0x20, 0x41);
  const nobody = { authorization: '' };
  const coded = (name: string) => ({ 'grpc-encoding': name });
  const unknown = 'unknown compression "x": supported encodings are gzip';

  test.each<[string, Buffer, number, string, Record<string, string>?]>([
    ['a message cut short', frame(cut), 3, UNREADABLE],
    ['a frame cut short', frame(cut).subarray(0, 6), 3, 'protocol error: incomplete envelope'],
    ['a header cut short', frame(cut).subarray(0, 3), 3, 'protocol error: incomplete envelope'],
    ['no message', Buffer.alloc(0), 12, 'protocol error: missing input message for unary method'],
    ['nameless compression', frame(cut, 1), 3, UNREADABLE],
    ['what is no gzip', frame(cut, 1), 3, 'decompression failed', coded('gzip')],
    ['gzip cut short', frame(gzipSync(cut).subarray(0, 15), 1), 3, UNREADABLE, coded('gzip')],
    ['too large a message in gzip', frame(gzipSync(Buffer.alloc(5 << 20)), 1), 8, TOO_LARGE, coded('gzip')],
    ['an unknown compression', frame(cut, 1), 12, unknown, coded('x')],
    ['gzip', frame(gzipSync(''), 1), 0, '', coded('gzip')],
    ['no credentials', frame(cut), 16, 'Authentication credentials were not provided.', nobody],
    ['Structs in one another', frame(nested(40)), 0, ''],
    ['too many Structs in one another', frame(nested(5000)), 3, UNREADABLE],
    ['far too many Structs in one another', frame(nested(100_000)), 3, UNREADABLE],
  ])('in frames: %s', async (name, body, ...[status, message, headers]) => {
    const expected = [status, message];
    const path = name.endsWith('another') ? EXECUTE : VALIDATE;
    expect(await postFrames(path, body, headers)).toEqual([expected, expected]);
  });

  const deep = (levels: number) =>
    `{"toolCalls":[{"arguments":{"k":${'['.repeat(levels)}${']'.repeat(levels)}}}]}`;
  const tooDeep = 'cannot decode google.protobuf.Value from JSON: maximum recursion depth of 100 reached';
  const notJson = expect.stringContaining('cannot decode message tool.ValidateToolsRequest from JSON: ');
  const noList = 'cannot decode field tool.ValidateToolsRequest.tool_ids from JSON: expected Array, got 5';
  const gzip = { 'content-encoding': 'gzip' };
  test.each<[string, Buffer | string, number, unknown, Record<string, string>?]>([
    ['a message cut short', cut, 400, UNREADABLE, { 'content-type': 'application/proto' }],
    ['JSON cut short', '{"user', 400, notJson],
    ['a list', '[]', 400, notJson],
    ['a wrong type', '{"toolIds":5}', 400, noList],
    ['long words of refusal, compressed', `"${'x'.repeat(5000)}"`, 400, notJson],
    ['lists in one another', deep(5000), 400, tooDeep],
    ['many lists in one another', deep(100_000), 400, tooDeep],
    ['what is no gzip', '{}', 400, 'decompression failed', gzip],
    ['gzip', gzipSync('{}'), 200, undefined, gzip],
    ['a field of the future', '{"newer":1}', 200, undefined],
    ['no credentials', '{"user', 401, 'Authentication credentials were not provided.', nobody],
  ])('by Connect: %s', async (name, body, status, message, headers) => {
    const path = name.endsWith('another') ? EXECUTE : VALIDATE;
    const answer = await post(path, 'application/json', body, headers);
    const code = status === 400 ? 'invalid_argument' : 'unauthenticated';
    const expected = status === 200 ? { authorized: true } : { code, message };
    expect([answer.status, JSON.parse(answer.text)]).toEqual([status, expected]);
  });

  test.each(protocols)('of more than 4 MiB, and more calls than may be, by $name', async ({ connect }) => {
    using client = connect(service.url);
    const large = await client.call('ValidateTools', { toolIds: ['x'.repeat(5 << 20)] }, { token });
    expect(large).toMatchObject({ code: 'RESOURCE_EXHAUSTED', message: TOO_LARGE });
    const toolCalls = Array.from({ length: 1001 }, () => ({ name: 'none' }));
    const message = 'tool_calls must have no more than 1000 entries (MAX_CALLS_PER_REQUEST).';
    const many = await client.call('ExecuteMultipleTools', { toolCalls }, { token });
    expect(many).toMatchObject({ code: 'INVALID_ARGUMENT', message });
  });
});

/** A stub of a vendored service that is made of its proto file. */
function stubOf(file: string, name: string) {
  const definition = loadSync(file, { includeDirs: [join(packageRoot, 'proto')], enums: String });
  const Stub = makeGenericClientConstructor(definition[name] as ServiceDefinition, name);
  const stub = new Stub(new URL(service.url).host, credentials.createInsecure());
  return Object.assign(stub, { [Symbol.dispose]: () => stub.close() });
}

test.each(['v1', 'v1alpha'])('reflection %s lists the services and describes them', async (version) => {
  const name = `grpc.reflection.${version}.ServerReflection`;
  using stub = stubOf(`grpc/reflection/${version}/reflection.proto`, name);
  const stream = stub.serverReflectionInfo?.();
  const ask = async (request: object) => {
    stream.write(request);
    return (await once(stream, 'data'))[0];
  };
  const { listServicesResponse } = await ask({ listServices: '' });
  const listed = listServicesResponse.service.map((entry: { name: string }) => entry.name);
  expect(listed).toEqual(expect.arrayContaining(['tool.ToolService', 'grpc.health.v1.Health', name]));
  for (const fileContainingSymbol of ['tool.ToolService', 'tool.ToolService.ListTools', 'tool.Tool']) {
    const files: Buffer[] = (await ask({ fileContainingSymbol })).fileDescriptorResponse.fileDescriptorProto;
    const set = Buffer.concat(files.flatMap((file) => [tag(1, file.length), file]));
    const methods = loadFileDescriptorSetFromBuffer(set)['tool.ToolService'];
    expect(Object.keys(methods ?? {})).toEqual(expect.arrayContaining(['ValidateTools', 'DeleteTool']));
  }
  const unknown = await ask({ fileContainingSymbol: 'tool.Nothing' });
  expect(unknown.errorResponse).toEqual({ errorCode: 5, errorMessage: 'symbol not found' });
  stream.end();
});

test('health is checked and watched', async () => {
  using stub = stubOf('grpc/health/v1/health.proto', 'grpc.health.v1.Health');
  const check = (asked: string) =>
    new Promise((resolve) => {
      stub.check?.({ service: asked }, (error: Error | null, answer: unknown) => resolve(error ?? answer));
    });
  for (const name of ['', 'tool.ToolService']) expect(await check(name)).toEqual({ status: 'SERVING' });
  expect(await check('tool.Nothing')).toMatchObject({ code: 5, details: 'unknown service' });
  const watch = stub.watch?.({ service: 'tool.ToolService' }).on('error', () => {});
  expect(await once(watch, 'data')).toEqual([{ status: 'SERVING' }]);
  watch.cancel();
});

test('what is not there, and what RPCs are not called by', async () => {
  const nothing = '/tool.ToolService/Nothing';
  const unimplemented = [12, 'unknown method'];
  expect(await postFrames(nothing, Buffer.alloc(5))).toEqual([unimplemented, unimplemented]);
  expect((await post(nothing, 'application/json', '{}')).status).toBe(404);
  for (const type of ['text/plain', 'application/grpc-web-text']) {
    expect((await post(VALIDATE, type, '{}')).status).toBe(415);
  }
  expect((await fetch(`${service.url}${VALIDATE}?encoding=json&message={}`)).status).toBe(405);
});

test('pages of the allowed origins may call, and read what they need', async () => {
  const names = ['content-type', 'authorization', 'connect-protocol-version', 'connect-timeout-ms'];
  const asked = [...names, 'x-grpc-web', 'x-user-agent', 'grpc-timeout'];
  const preflight = async (origin: string) => {
    const ask = 'access-control-request';
    const headers = { origin, [`${ask}-method`]: 'POST', [`${ask}-headers`]: asked.join() };
    const options = { method: 'OPTIONS', headers };
    return (await fetch(`${service.url}${VALIDATE}`, options)).headers;
  };
  const list = (text: string | null) => text?.toLowerCase().split(/, */);
  const headers = await preflight(ORIGIN);
  expect(headers.get('access-control-allow-origin')).toBe(ORIGIN);
  expect(list(headers.get('access-control-allow-headers'))).toEqual(expect.arrayContaining(asked));
  const elsewhere = await preflight('https://evil.example');
  expect(elsewhere.get('access-control-allow-origin')).toBeNull();
  for (const type of ['application/json', 'application/grpc-web+proto']) {
    const answer = await post(VALIDATE, type, '', { origin: ORIGIN });
    expect(answer.headers.get('access-control-allow-origin')).toBe(ORIGIN);
    const exposed = ['grpc-status', 'grpc-message', 'retry-after', 'www-authenticate', 'x-request-id'];
    const shown = list(answer.headers.get('access-control-expose-headers'));
    expect(shown).toEqual(expect.arrayContaining(exposed));
  }
});

test.each(protocols)('each RPC is a line in the log, and a fault one more, by $name', async ({ connect }) => {
  await using own = await startTestService();
  using client = connect(own.url);
  const call = async (requestId: string, toolIds: string[], options: RpcOptions) => {
    const headers = { 'x-request-id': requestId };
    const answer = await client.call('ValidateTools', { toolIds }, { headers, ...options });
    expect(answer.metadata).toMatchObject(headers);
    return answer;
  };
  await call('good', [], { token });
  await call('anonymous', [], {});
  await call('wrong', ['x'], { token });
  new Sqlite(join(own.folder, 'tools.db')).exec('DROP TABLE tools').close();
  const broken = await call('broken', [randomUUID()], { token });
  expect(broken).toMatchObject({ code: 'INTERNAL', message: 'internal error', body: {} });
  await own.close();

  const rpc = VALIDATE.slice(1);
  const codes = { good: 'ok', anonymous: 'unauthenticated', wrong: 'invalid_argument', broken: 'internal' };
  const answers = Object.entries(codes).map(([requestId, code]) => ({ requestId, rpc, code, level: 'info' }));
  const fault = { requestId: 'broken', method: rpc, level: 'error', msg: 'RPC failed' };
  const lines = own.log.filter(({ requestId }) => requestId !== undefined);
  const expected = [...answers, fault].map((line) => expect.objectContaining(line));
  expect(lines).toEqual(expect.arrayContaining(expected));
  expect(lines).toHaveLength(5);
  expect(JSON.stringify(own.log)).not.toContain(token);
});

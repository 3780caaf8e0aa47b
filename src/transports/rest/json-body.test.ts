import { afterAll, describe, expect, it } from 'vitest';
import { createHttpClient, said } from '../../testing/http-client.ts';
import { makeToken } from '../../testing/make-token.ts';
import { startTestService } from '../../testing/start-test-service.ts';
import { hasToolData, readDataLines } from '../../testing/tool-data.ts';
import { webhookInput } from '../../testing/tools-context.ts';

const TOOLS = '/ms7/api/v1/tools/';
const ROUTES = [TOOLS, '/ms7/internal/v1/tools/validate/', '/ms7/api/v1/execute/'];
const NOTHING_GIVEN = '{"name":["This field is required."],"definition":["This field is required."]}';
const PARSE_ERROR = /^\{"detail":"JSON parse error - .+"\}$/;

type ParsingCase = { name: string; expect: 'accept' | 'reject' | 'either'; base64?: string };

/** Those that are too long to be written out. */
const LONG: Readonly<Record<string, string>> = {
  'n_structure_100000_opening_arrays.json': '['.repeat(100_000),
  'n_structure_open_array_object.json': `${'[{"":'.repeat(50_000)}\n`,
};

const service = await startTestService();
afterAll(() => service.close());
const send = createHttpClient(service.url, makeToken());

async function post(body: string | Buffer, route = TOOLS) {
  const answer = await send('POST', route, { body });
  expect(answer.status).toBeLessThan(500);
  return answer;
}

describe.skipIf(!hasToolData)('the cases of JSONTestSuite (skipped where the shared data is absent)', () => {
  const cases = hasToolData
    ? readDataLines<ParsingCase>('security/json-parsing.jsonl').map((entry) => ({
        ...entry,
        bytes: Buffer.from(LONG[entry.name] ?? Buffer.from(entry.base64 ?? '', 'base64')),
      }))
    : [];
  // No body at all is not malformed: it stands for an object without fields.
  const rejected = cases.filter((entry) => entry.expect === 'reject' && entry.bytes.length > 0);

  it('are there', () => {
    expect(rejected.length).toBeGreaterThan(180);
  });

  it.each(rejected)('refuses $name', async ({ bytes }) => {
    const { status, text } = await post(bytes);
    expect([status, text]).toEqual([400, expect.stringMatching(PARSE_ERROR)]);
  });

  it.each(cases.filter((entry) => entry.expect === 'accept'))('reads $name', async ({ bytes }) => {
    expect((await post(bytes)).text).not.toContain('JSON parse error');
  });

  it.each(cases.filter((entry) => entry.expect === 'either'))('survives $name', async ({ bytes }) => {
    expect((await post(bytes)).status).toBe(400);
  });
});

describe('bodies', () => {
  it.each(['{', '{"a":1}x', "{'a':1}", ' ', '\uFEFF{}', '[1,]'])(
    'refuses %j, which is not JSON',
    async (body) => {
      for (const route of ROUTES) expect((await post(body, route)).text).toMatch(PARSE_ERROR);
    },
  );

  it('refuses bytes that are not UTF-8', async () => {
    const { status, text } = await post(Buffer.from('7b2261223a22ff227d', 'hex'));
    expect([status, text]).toEqual([400, '{"detail":"JSON parse error - the body is not UTF-8"}']);
  });

  it.each([
    ['[]', 'list'],
    ['[{}]', 'list'],
    ['"x"', 'str'],
    ['true', 'bool'],
    ['null', 'NoneType'],
    ['1', 'int'],
    ['1.5', 'float'],
  ])('refuses %s, which is no object', async (body, type) => {
    const refusal = `{"non_field_errors":["Invalid data. Expected a dictionary, but got ${type}."]}`;
    const { json } = await send<{ id: string }>('POST', TOOLS, { body: webhookInput(`for ${body}`) });
    expect(said(await post(body))).toEqual([400, refusal]);
    expect(said(await post(body, '/ms7/api/v1/execute/'))).toEqual([400, refusal]);
    for (const method of ['PUT', 'PATCH']) {
      expect(said(await send(method, `${TOOLS}${json.id}/`, { body }))).toEqual([400, refusal]);
    }
  });

  it('takes none for an object without fields, whatever its type', async () => {
    for (const type of ['application/json', 'text/plain', undefined]) {
      const options = { body: '', headers: { 'content-type': type } };
      expect(said(await send('POST', TOOLS, options))).toEqual([400, NOTHING_GIVEN]);
    }
    expect(said(await send('POST', TOOLS))).toEqual([400, NOTHING_GIVEN]);
  });

  it('ignores keys that would reach into a prototype', async () => {
    const body = '{"__proto__":{"name":"x","definition":{}},"constructor":{"name":"x"},"toString":1}';
    expect(said(await post(body))).toEqual([400, NOTHING_GIVEN]);
  });
});

describe('content types', () => {
  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/xml',
    'application/json, text/plain',
    'text/json',
    'garbage',
    'a/b/c',
    '',
  ])('refuses %j', async (type) => {
    const refusal = [415, `{"detail":"Unsupported media type \\"${type}\\" in request."}`];
    for (const route of ROUTES) {
      const headers = { 'content-type': type };
      expect(said(await send('POST', route, { body: '{', headers }))).toEqual(refusal);
    }
  });

  it('refuses a body without one', async () => {
    const answer = await send('POST', TOOLS, { body: '{}', headers: { 'content-type': undefined } });
    expect(said(answer)).toEqual([415, '{"detail":"Unsupported media type \\"\\" in request."}']);
  });

  it.each([
    'application/json',
    'Application/JSON; charset=UTF-8',
    'application/json;charset="utf-8"',
    'application/merge-patch+json',
  ])('takes %s', async (type) => {
    const answer = await send('POST', TOOLS, { body: '{}', headers: { 'content-type': type } });
    expect(said(answer)).toEqual([400, NOTHING_GIVEN]);
  });
});

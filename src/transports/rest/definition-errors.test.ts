import { afterAll, describe, expect, it } from 'vitest';
import { createHttpClient, said } from '../../testing/http-client.ts';
import { makeToken } from '../../testing/make-token.ts';
import { startTestService } from '../../testing/start-test-service.ts';
import { hasToolData, readDataJson } from '../../testing/tool-data.ts';
import { webhookInput } from '../../testing/tools-context.ts';

const TOOLS = '/ms7/api/v1/tools/';
const MUST_HAVE = "Definition must contain 'name', 'description', and 'parameters' keys.";
const MUST_EXECUTE = "Definition must contain an 'execution' block.";
const UNFIT = 'Definition must not contain NUL characters or lone surrogates.';
const NO_SCHEMA = "Definition 'parameters' is not a valid JSON Schema of arguments";
const TYPES = 'expected a type (array, boolean, integer, null, number, object, string)';

type Tool = { id: string; name: string; definition: Record<string, unknown> };

const service = await startTestService();
afterAll(() => service.close());
const send = createHttpClient(service.url, makeToken());
const target = (await send<Tool>('POST', TOOLS, { body: webhookInput('target') })).json;

/** Checks that the creation and both kinds of change refuse an input alike. */
async function expectRefusal(body: unknown, errors: unknown): Promise<void> {
  for (const [method, path] of [
    ['POST', TOOLS],
    ['PUT', `${TOOLS}${target.id}/`],
    ['PATCH', `${TOOLS}${target.id}/`],
  ] as const) {
    expect(said(await send(method, path, { body }))).toEqual([400, JSON.stringify(errors)]);
  }
}

const { definition } = webhookInput('one');
const define = (changes: object) => ({ ...definition, ...changes });
const execute = (changes: object) => define({ execution: { ...definition.execution, ...changes } });
const nested = (depth: number) => JSON.parse(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`) as object;

describe('fields', () => {
  it.each([
    ['name', null, 'This field may not be null.'],
    ...[1, true, [], {}].map((value) => ['name', value, 'Not a valid string.']),
    ...['', ' ', '\t\n \u00A0'].map((value) => ['name', value, 'This field may not be blank.']),
    ...['x'.repeat(256), '\u{1F600}'.repeat(256)].map((value) => [
      'name',
      value,
      'Ensure this field has no more than 255 characters.',
    ]),
    ...['a\0b', '\uD800', 'a\uDC00b'].map((value) => [
      'name',
      value,
      'Null characters and lone surrogates are not allowed.',
    ]),
    ['tool_type', 'x', '"x" is not a valid choice.'],
    ['tool_type', 'Standard', '"Standard" is not a valid choice.'],
    ['tool_type', '', '"" is not a valid choice.'],
    ['tool_type', 1, '"1" is not a valid choice.'],
    ['tool_type', null, 'This field may not be null.'],
  ] as [string, unknown, string][])('%s may not be %j', async (field, value, message) => {
    await expectRefusal({ ...webhookInput('one'), [field]: value }, { [field]: [message] });
  });

  it('are told of all at once', async () => {
    const errors = { name: ['This field is required.'], definition: ['This field is required.'] };
    expect((await send('POST', TOOLS, { body: {} })).text).toBe(JSON.stringify(errors));
    expect((await send('PUT', `${TOOLS}${target.id}/`, { body: {} })).text).toBe(JSON.stringify(errors));
    await expectRefusal(
      { name: '', tool_type: 'x', definition: [] },
      {
        name: ['This field may not be blank.'],
        tool_type: ['"x" is not a valid choice.'],
        definition: ['Definition must be a valid JSON object.'],
      },
    );
  });

  it('have names of up to 255 code points', async () => {
    for (const name of ['x'.repeat(255), '\u{1F600}'.repeat(255)]) {
      const { status, json } = await send<Tool>('POST', TOOLS, { body: { ...webhookInput('one'), name } });
      expect([status, json.name]).toEqual([201, name]);
    }
  });
});

describe('definitions', () => {
  const type = (shown: string) => `Invalid execution type: '${shown}'. Must be 'webhook'.`;
  it.each([
    ...[null, 'x', 1, [], [definition], JSON.stringify(definition)].map((value) => [
      value,
      'Definition must be a valid JSON object.',
    ]),
    ...['name', 'description', 'parameters'].map((key) => [define({ [key]: undefined }), MUST_HAVE]),
    [{}, MUST_HAVE],
    [define({ name: 1 }), "Definition 'name' must be a string."],
    [define({ description: null }), "Definition 'description' must be a string."],
    ...[[], 'x', null].map((parameters) => [
      define({ parameters }),
      "Definition 'parameters' must be a JSON object.",
    ]),
    [define({ execution: undefined }), MUST_EXECUTE],
    ...[null, [], 'webhook', 1].map((execution) => [
      define({ execution }),
      "'execution' must be a JSON object.",
    ]),
    [define({ execution: {} }), type('null')],
    [execute({ type: 'http' }), type('http')],
    [execute({ type: 1 }), type('1')],
    [execute({ type: 'constructor' }), type('constructor')],
    [execute({ type: 'x'.repeat(99) }), type(`${'x'.repeat(60)}…`)],
    ...[undefined, null, 1, ''].map((url) => [execute({ url }), "Webhook execution requires a 'url'."]),
    [
      execute({ url: `https://x.example/${'a'.repeat(8192)}` }),
      "Webhook 'url' must have no more than 8192 characters.",
    ],
    [
      define({ execution: { type: 'internal_function', pointer: 'tools.x' } }),
      "User-defined tools cannot be of type 'internal_function'.",
    ],
    [execute({ authentication: 'x' }), "'authentication' must be a JSON object."],
    [
      execute({ authentication: { type: 'digest' } }),
      "Invalid authentication type: 'digest'. Must be 'bearer' or 'basic' or 'api_key' or 'oauth2_client_credentials' or 'standard_webhooks'.",
    ],
    [execute({ method: 'TRACE' }), '/execution/method: must be one of GET, HEAD, POST, PUT, PATCH, DELETE.'],
    [
      execute({ headers: { 'X-A': 'a\r\nX-Evil: 1' } }),
      '/execution/headers/X-A: must not have line breaks or control characters in its value.',
    ],
    [execute({ headers: { 'X-A': 'a\0' } }), UNFIT],
    [
      execute({ headers: { Cookie: 'id=1' } }),
      "/execution/headers/Cookie: must not hold a constant credential: it belongs into 'authentication'.",
    ],
    [
      define({ hidden: { a: {} } }),
      '/hidden/a: must be {"value": …} or {"from": "caller.user_id" or "request.id"}.',
    ],
    [execute({ authentication: { type: 'bearer' } }), "Bearer authentication requires a 'token'."],
    ...['', 'a b', 'a\r\nb', 'é'].map((token) => [
      execute({ authentication: { type: 'bearer', token } }),
      "Authentication 'token' must be visible ASCII characters without spaces.",
    ]),
    [define({ x: 'a\0' }), UNFIT],
    [define({ x: [{ 'a\uD800': 1 }] }), UNFIT],
    [define({ parameters: { description: '\uDC00' } }), UNFIT],
    [define({ x: nested(30) }), 'Definition must not be nested more than 30 levels deep.'],
    ...[
      [{ type: 'string' }, '/type: must be "object".'],
      [{ type: ['object', 'null'] }, '/type: must be "object".'],
      [{ properties: { a: { type: 'text' } } }, `/properties/a/type: ${TYPES}, got the string "text"`],
      [
        { properties: { 'a/b': { minLength: -1 } } },
        '/properties/a~1b/minLength: expected an integer of at least 0, got the number -1',
      ],
      [{ required: 'a' }, '/required: expected an array of strings, got the string "a"'],
      [
        { properties: { a: { pattern: '(' } } },
        '/properties/a/pattern: not a regular expression of ECMA-262 with the u flag: Unterminated group',
      ],
      [
        { $ref: 'https://x.example/a' },
        '/$ref: "https://x.example/a" is not a part of this schema, and nothing is fetched',
      ],
      [{ items: { $ref: '#/$defs/a' } }, '/items/$ref: "#/$defs/a" does not lead to a schema'],
      [
        { $schema: 'http://json-schema.org/draft-04/schema#' },
        '/$schema: expected draft 2020-12 or draft-07 of JSON Schema, got "http://json-schema.org/draft-04/schema#"',
      ],
    ].map(([parameters, words]) => [define({ parameters }), `${NO_SCHEMA}: ${words}`]),
    ...[
      ['ftp://x.example/', 'must use http or https'],
      ['//x.example/', 'must be a valid absolute URL'],
      ['not a url', 'must be a valid absolute URL'],
      ['https://user:password@x.example/', 'must not hold a user name or a password'],
      ['https://169.254.169.254/latest', 'must not lead to an address that is not public (Link Local)'],
      ['http://[::1]:8080/', 'must not lead to an address that is not public (Loopback Address)'],
      ['http://0x0a000001/', 'must not lead to an address that is not public (Private-Use)'],
    ].map(([url, words]) => [execute({ url }), `Webhook 'url' is not allowed: ${words}`]),
  ] as [unknown, string][])('%j is refused', async (value, message) => {
    await expectRefusal({ name: 'one', definition: value }, { definition: [message] });
  });
});

describe('definitions that are accepted', () => {
  it.each([
    [define({ parameters: {} })],
    [
      define({
        parameters: { $schema: 'http://json-schema.org/draft-07/schema#', definitions: { a: true } },
      }),
    ],
    [define({ parameters: { type: 'object', $defs: { a: {} }, properties: { a: { $ref: '#/$defs/a' } } } })],
    [define({ x: nested(29), y: null, 'any key': [1.5, 'é', '\u{1F600}'] })],
    [execute({ url: 'https://x.example:8443/a?b=c#d', more: { headers: [] } })],
    [define({ name: '', description: '' })],
    [
      execute({
        method: 'PUT',
        url: 'https://x.example/{a}',
        query: { q: ['{a}', 1] },
        headers: { 'X-A': '{a}' },
        body: { a: ['{a}', null] },
        max_response_bytes: 1,
        output: '/a',
        apply_defaults: true,
      }),
    ],
    [define({ hidden: { a: { value: null } }, annotations: { read_only: true, x: 1 }, output_schema: true })],
  ])('%j', async (value) => {
    const user = createHttpClient(service.url, makeToken());
    const body = { name: 'one', definition: value };
    const { status, json } = await user<Tool>('POST', TOOLS, { body });
    expect([status, JSON.stringify(json.definition)]).toEqual([201, JSON.stringify(value)]);
  });

  it.skipIf(!hasToolData)(
    'naughty strings, or says why not (skipped where the shared data is absent)',
    async () => {
      const user = createHttpClient(service.url, makeToken());
      const inputs = [
        ...new Set(readDataJson<string[]>('security/blns.json').map((text) => text.trim())),
      ].map((text) => ({ name: ` ${text}\n`, definition: define({ description: text, [text]: [text] }) }));
      const answers = await Promise.all(
        inputs.map(async (body) => ({ body, ...(await user<Tool>('POST', TOOLS, { body })) })),
      );
      const { json: tools } = await user<Tool[]>('GET', TOOLS);
      const shown = new Map(tools.map((tool) => [tool.id, tool]));
      const refusals: string[] = [];
      for (const { status, text, json, body } of answers) {
        if (status !== 201) {
          expect(status).toBe(400);
          refusals.push(text);
          continue;
        }
        expect(shown.get(json.id)).toEqual(json);
        expect([json.name, JSON.stringify(json.definition)]).toEqual([
          body.name.trim(),
          JSON.stringify(body.definition),
        ]);
      }
      const long = inputs.filter(({ name }) => [...name.trim()].length > 255);
      expect(refusals.toSorted()).toEqual([
        ...long.map(() => '{"name":["Ensure this field has no more than 255 characters."]}'),
        '{"name":["This field may not be blank."]}',
      ]);
    },
  );
});

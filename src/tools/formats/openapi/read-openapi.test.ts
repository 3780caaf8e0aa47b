import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../json.ts';
import type { Candidate, ImportOptions } from '../candidate.ts';
import { document31, jsonBody, petstore } from '../documents-for-tests.ts';
import { findOperations, readOpenApi } from './read-openapi.ts';

async function read(document: object, options: ImportOptions = {}): Promise<Map<string, Candidate>> {
  // As it comes over the wire: `__proto__` is a key like any other there.
  const json = JSON.parse(JSON.stringify(document)) as JsonObject;
  const places = await findOperations(json, 1000);
  return new Map([...readOpenApi(json, places, options, 50_000)].map((tool) => [tool.name, tool]));
}

async function readOne(operation: object, rest: object = {}, path = '/a'): Promise<Candidate> {
  const [tool] = (await read(document31({ [path]: { post: operation } }, rest))).values();
  if (!tool) throw new Error('there is no tool');
  return tool;
}

const definitionOf = (tool: Candidate | undefined) =>
  tool && 'definition' in tool ? (tool.definition as Record<string, JsonObject>) : undefined;

describe('an OpenAPI 3.0 document', () => {
  it('gives a tool for each operation, in its order', async () => {
    const tools = await read(petstore);
    expect([...tools.keys()]).toEqual([
      'pets.list',
      'post_pets',
      'showPet',
      'replacePet',
      'deletePet',
      'renamePet',
      'uploadPhoto',
    ]);
  });

  it('places parameters by templates, and says what it leaves out', async () => {
    const tool = (await read(petstore)).get('pets.list');
    expect(definitionOf(tool)).toEqual({
      name: 'pets.list',
      description: 'List pets\n\nIn the order of their names.',
      parameters: {
        type: 'object',
        properties: {
          limit: {
            type: 'integer',
            exclusiveMinimum: 0,
            examples: [10],
            description: 'At most so many.',
          },
          tags: { type: 'array', items: { type: 'string' } },
          ids: { type: 'string', description: 'Several values are joined by ",".' },
          filter_kind_: { type: 'string', description: 'Cats, say.' },
          'X-Request-Source': { type: 'string' },
        },
        additionalProperties: false,
      },
      annotations: { read_only: true, destructive: false, idempotent: true },
      execution: {
        type: 'webhook',
        method: 'GET',
        url: 'https://eu.pets.example/v1/pets',
        query: { limit: '{limit}', tags: '{tags}', ids: '{ids}', 'filter[kind]': '{filter_kind_}' },
        headers: { 'X-Request-Source': '{X-Request-Source}' },
      },
    });
    expect(tool).toMatchObject({
      notes: ['The parameter "session" is left out: cookie parameters are not sent.'],
    });
  });

  it('spreads a body over arguments, in draft 2020-12, without what is read only', async () => {
    const definition = definitionOf((await read(petstore)).get('post_pets'));
    const owner = { anyOf: [{ allOf: [{ $ref: '#/$defs/Owner' }] }, { type: 'null' }] };
    const properties = {
      name: { type: 'string', examples: ['Tom'] },
      nickname: { type: ['string', 'null'], enum: ['T', 'J', null] },
      owner,
      nullable: { type: 'boolean' },
    };
    expect(definition?.parameters).toEqual({
      type: 'object',
      properties,
      required: ['name'],
      $defs: {
        Owner: {
          type: 'object',
          properties: {
            name: { type: 'string' },
            pets: { type: 'array', items: { $ref: '#/$defs/Pet' } },
          },
        },
        Pet: { type: 'object', required: ['name'], properties },
      },
    });
    expect(definition?.execution).toMatchObject({
      method: 'POST',
      body: { name: '{name}', nickname: '{nickname}', owner: '{owner}', nullable: '{nullable}' },
    });
  });

  it('takes another body whole, and a form with its type', async () => {
    const tools = await read(petstore);
    expect(definitionOf(tools.get('replacePet'))).toMatchObject({
      parameters: {
        properties: {
          petId: { type: 'integer', minimum: 0 },
          body: { allOf: [{ $ref: '#/$defs/Pet' }] },
        },
        required: ['petId'],
      },
      annotations: { read_only: false, destructive: false, idempotent: true },
      execution: { url: 'https://eu.pets.example/v1/pets/{petId}', body: '{body}' },
    });
    expect(definitionOf(tools.get('renamePet'))?.execution).toMatchObject({
      method: 'PATCH',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: { name: '{name}' },
    });
    expect(definitionOf(tools.get('deletePet'))?.annotations).toEqual({
      read_only: false,
      destructive: true,
      idempotent: true,
    });
    expect(tools.get('uploadPhoto')).toEqual({
      name: 'uploadPhoto',
      errors: ['Its request body is required, but cannot be sent: it is image/png.'],
    });
  });

  it('maps security schemes, with the secrets that are given', async () => {
    const tools = await read(petstore, {
      credentials: {
        api_key: { value: 'key' },
        oauth: { client_id: 'id', client_secret: 'secret' },
        basic: { username: 'tom', password: 'pass' },
      },
    });
    const authentication = (name: string) => definitionOf(tools.get(name))?.execution?.authentication;
    expect(authentication('pets.list')).toEqual({
      type: 'api_key',
      in: 'header',
      name: 'X-Pets-Key',
      value: 'key',
    });
    expect(authentication('post_pets')).toEqual({
      type: 'oauth2_client_credentials',
      token_url: 'https://auth.pets.example/token',
      scope: 'write read',
      client_id: 'id',
      client_secret: 'secret',
    });
    expect(authentication('replacePet')).toEqual({ type: 'basic', username: 'tom', password: 'pass' });
    expect(authentication('showPet')).toBeUndefined();
    expect(tools.get('deletePet')).toMatchObject({
      missing: {
        authentication: { type: 'bearer' },
        note: 'Made without authentication: \'credentials\' has no token for "token".',
      },
    });
  });

  it('is sent to the server that whoever imports it names', async () => {
    const tools = await read(petstore, { serverUrl: 'http://localhost:1/x/' });
    expect(definitionOf(tools.get('showPet'))?.execution?.url).toBe('http://localhost:1/x/pets/{petId}');
  });
});

describe('an operation', () => {
  it.each([
    [{}, { servers: [{ url: '/v1' }] }, 'The server "/v1" is not an absolute URL: give \'server_url\'.'],
    [{}, { servers: undefined }, 'The server "/" is not an absolute URL: give \'server_url\'.'],
    [{}, { servers: [{ url: 'https://{x}/' }] }, 'The server\'s variable "x" has no default: give'],
    [{ parameters: {} }, {}, "'parameters' is not a list."],
    [{ parameters: [{ in: 'query' }] }, {}, "A parameter has no 'name' or no 'in'."],
    [
      { parameters: [{ name: 'c', in: 'cookie', required: true }] },
      {},
      'Its parameter "c" is required, but cookie parameters are not sent.',
    ],
    [
      { parameters: [{ $ref: 'https://elsewhere.example/p.json' }] },
      {},
      'It refers to "https://elsewhere.example/p.json"; only "#/…" inside the document is followed.',
    ],
    [{ parameters: [{ $ref: '#/paths/~1a/post/parameters/0' }] }, {}, 'a reference that leads to itself'],
    [{ requestBody: jsonBody({ $ref: '#/components/schemas/No' }) }, {}, 'is not in the document.'],
    [
      { requestBody: jsonBody({ type: 'array', items: { $ref: 'other.json' } }) },
      {},
      'It refers to "other.json"; only',
    ],
    [{ requestBody: jsonBody({ properties: { a: 3 } }) }, {}, 'A schema is neither an object nor true'],
    [{ requestBody: jsonBody({ enum: ['x'.repeat(60_000)] }) }, {}, 'more than 50000 characters'],
  ])('%j is refused in words', async (operation, rest, words) => {
    expect((await readOne(operation, rest)).errors?.[0]).toContain(words);
  });

  it('gives each of several parameters of one name a name of its own', async () => {
    const parameters = ['path', 'query', 'header'].map((place) => ({
      name: 'id',
      in: place,
      schema: { type: 'string', title: place },
    }));
    const requestBody = jsonBody({ type: 'object', properties: { id: {} } });
    const definition = definitionOf(await readOne({ parameters, requestBody }, {}, '/{id}/{more}'));
    expect(definition?.execution).toMatchObject({
      url: 'https://api.example/{id}/{more}',
      query: { id: '{id_query}' },
      headers: { id: '{id_header}' },
      body: '{body}',
    });
    expect(definition?.parameters).toMatchObject({ required: ['id', 'more', 'body'] });
  });
});

describe('a hostile document', () => {
  it('keeps cycles and references that multiply as definitions', async () => {
    const schemas = Object.fromEntries(
      Array.from({ length: 30 }, (_, level) => [
        `S${level}`,
        { type: 'array', prefixItems: Array(9).fill({ $ref: `#/components/schemas/S${(level + 1) % 30}` }) },
      ]),
    );
    const body = jsonBody({ $ref: '#/components/schemas/S0' });
    const definition = definitionOf(await readOne({ requestBody: body }, { components: { schemas } }));
    expect(Object.keys(definition?.parameters?.$defs ?? {})).toHaveLength(30);
    expect(JSON.stringify(definition).length).toBeLessThan(20_000);
  });

  it('with keys of the prototype is read as data', async () => {
    const schema = JSON.parse(
      '{"type":"object","properties":{"__proto__":{"type":"string"},"constructor":{"type":"integer"}}}',
    );
    const definition = definitionOf(await readOne({ requestBody: jsonBody(schema) }));
    expect(JSON.stringify(definition?.parameters?.properties)).toBe(JSON.stringify(schema.properties));
    expect(JSON.stringify(definition?.execution?.body)).toBe(
      '{"__proto__":"{__proto__}","constructor":"{constructor}"}',
    );
    expect((await readOne({ security: [{ constructor: [] }] })).errors).toBeUndefined();
  });

  it('nested without end is refused', async () => {
    const text = `${'{"items":'.repeat(1000)}{}${'}'.repeat(1000)}`;
    const tool = await readOne({ requestBody: jsonBody(JSON.parse(text)) });
    expect(tool.errors).toEqual(['A schema is nested more than 60 levels deep.']);
  });

  it('whose operations repeat what is large comes to an end', async () => {
    const large = { enum: Array(9900).fill(1) };
    const operation = { post: { requestBody: jsonBody({ $ref: '#/components/schemas/Large' }) } };
    const paths = Object.fromEntries(Array.from({ length: 2000 }, (_, index) => [`/${index}`, operation]));
    const json = document31(paths, { components: { schemas: { Large: large } } }) as unknown as JsonObject;
    const places = await findOperations(json, 2000);
    const tools = [...readOpenApi(json, places, {}, 50_000)];
    const refused = tools.filter(({ errors }) => errors !== undefined);
    expect(refused.length).toBeGreaterThan(500);
    expect(refused[0]?.errors).toEqual([
      'The schemas of the operations before it are too large together. Import the rest apart.',
    ]);
  });
});

/** An OpenAPI 3.0 document with what is usual: references, a base class, a form, credentials, an upload. */
export const petstore = {
  openapi: '3.0.3',
  info: { title: 'Petstore', version: '1.0.0' },
  servers: [{ url: 'https://{region}.pets.example/v1/', variables: { region: { default: 'eu' } } }],
  security: [{ api_key: [] }],
  paths: {
    '/pets': {
      get: {
        operationId: 'pets.list',
        summary: 'List pets',
        description: 'In the order of their names.',
        parameters: [
          { $ref: '#/components/parameters/limit' },
          { name: 'tags', in: 'query', schema: { type: 'array', items: { type: 'string' } } },
          { name: 'ids', in: 'query', explode: false, schema: { type: 'array', items: { type: 'integer' } } },
          { name: 'filter[kind]', in: 'query', description: 'Cats, say.', schema: { type: 'string' } },
          { name: 'X-Request-Source', in: 'header', schema: { type: 'string' } },
          { name: 'Accept', in: 'header', schema: { type: 'string' } },
          { name: 'session', in: 'cookie', schema: { type: 'string' } },
        ],
      },
      post: {
        summary: 'Add a pet',
        security: [{ oauth: ['write', 'read'] }],
        requestBody: {
          required: true,
          content: { 'application/json': { schema: { $ref: '#/components/schemas/Pet' } } },
        },
      },
    },
    '/pets/{petId}': {
      parameters: [{ name: 'petId', in: 'path', required: true, schema: { type: 'integer', minimum: 0 } }],
      get: { operationId: 'showPet', security: [{}] },
      put: {
        operationId: 'replacePet',
        security: [{ basic: [] }],
        requestBody: {
          content: { 'application/json': { schema: { allOf: [{ $ref: '#/components/schemas/Pet' }] } } },
        },
      },
      delete: { operationId: 'deletePet', security: [{ token: [] }] },
      patch: {
        operationId: 'renamePet',
        requestBody: {
          required: true,
          content: {
            'application/x-www-form-urlencoded': {
              schema: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
            },
          },
        },
      },
    },
    '/pets/{petId}/photo': {
      post: {
        operationId: 'uploadPhoto',
        requestBody: { required: true, content: { 'image/png': { schema: { type: 'string' } } } },
      },
    },
  },
  components: {
    parameters: {
      limit: {
        name: 'limit',
        in: 'query',
        description: 'At most so many.',
        schema: { type: 'integer', minimum: 0, exclusiveMinimum: true, example: 10 },
      },
    },
    schemas: {
      Pet: {
        type: 'object',
        required: ['id', 'name'],
        properties: {
          id: { type: 'integer', readOnly: true },
          name: { type: 'string', example: 'Tom', xml: { attribute: true } },
          nickname: { type: 'string', nullable: true, enum: ['T', 'J'] },
          owner: { nullable: true, allOf: [{ $ref: '#/components/schemas/Owner' }] },
          nullable: { type: 'boolean' },
        },
      },
      Owner: {
        type: 'object',
        properties: {
          name: { type: 'string' },
          pets: { type: 'array', items: { $ref: '#/components/schemas/Pet' } },
        },
      },
      Unused: { $ref: 'https://elsewhere.example/schema.json' },
    },
    securitySchemes: {
      api_key: { type: 'apiKey', in: 'header', name: 'X-Pets-Key' },
      token: { type: 'http', scheme: 'Bearer' },
      basic: { type: 'http', scheme: 'basic' },
      oauth: {
        type: 'oauth2',
        flows: {
          clientCredentials: { tokenUrl: 'https://auth.pets.example/token', scopes: { write: '', read: '' } },
        },
      },
    },
  },
};

/** An OpenAPI 3.1 document, whose schemas are JSON Schema's own. */
export function document31(paths: object, rest: object = {}) {
  return {
    openapi: '3.1.0',
    info: { title: 'Test', version: '1' },
    servers: [{ url: 'https://api.example' }],
    paths,
    ...rest,
  };
}

/** The body of an operation, as JSON of this schema. */
export function jsonBody(schema: unknown) {
  return { required: true, content: { 'application/json': { schema } } };
}

import { afterAll, describe, expect, it } from 'vitest';
import { type Answer, createHttpClient } from '../../testing/http-client.ts';
import { makeToken } from '../../testing/make-token.ts';
import { startTestService } from '../../testing/start-test-service.ts';

const TOOLS = '/ms7/api/v1/tools/';
const ORIGIN = 'https://app.example.com';
const ID = '00000000-0000-4000-8000-000000000000';

type Document = {
  openapi: string;
  info: Record<string, unknown>;
  paths: Record<string, Record<string, { operationId?: string; responses?: Record<string, unknown> }>>;
  components: { schemas: Record<string, unknown> };
};

const service = await startTestService();
afterAll(() => service.close());
const send = createHttpClient(service.url);
const { json: document, headers } = await send<Document>('GET', '/openapi.json');

/** Every reference in a document. */
function references(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, child]) =>
    key === '$ref' && typeof child === 'string' ? [child] : references(child),
  );
}

/** What a reference within the document leads to (RFC 6901). */
function resolve(reference: string): unknown {
  return reference
    .replace(/^#\//, '')
    .split('/')
    .map((token) => decodeURIComponent(token).replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<unknown>((value, token) => (value as Record<string, unknown> | undefined)?.[token], document);
}

describe('the OpenAPI document', () => {
  it('is one of version 3.1, whose references all lead into it', () => {
    expect(headers['content-type']).toBe('application/json; charset=utf-8');
    expect(document.openapi).toMatch(/^3\.1\.\d$/);
    expect(document.info).toMatchObject({ title: expect.any(String), version: expect.any(String) });
    const found = [...new Set(references(document))];
    expect(found.length).toBeGreaterThan(10);
    for (const reference of found) {
      expect(reference).toMatch(/^#\//);
      expect(resolve(reference), reference).toEqual(expect.any(Object));
    }
    expect(JSON.stringify(document)).not.toContain('"$defs"');
  });

  it('has the routes and methods that are served, each with a name of its own and its answers', async () => {
    expect(Object.keys(document.paths)).toEqual([
      '/ms7/api/v1/tools/',
      '/ms7/api/v1/tools/import/',
      '/ms7/api/v1/tools/{id}/',
      '/ms7/internal/v1/tools/validate/',
      '/ms7/api/v1/execute/',
      '/ms7/api/v1/executions/',
      '/healthz',
      '/readyz',
      '/metrics',
    ]);
    const operations: string[] = [];
    for (const [path, item] of Object.entries(document.paths)) {
      const { parameters: _, ...methods } = item;
      const served = await send('OPTIONS', path.replace('{id}', ID));
      const allowed = served.headers.allow?.split(', ').filter((method) => method !== 'HEAD');
      expect(Object.keys(methods).map((method) => method.toUpperCase())).toEqual(allowed);
      for (const { operationId = '', responses = {} } of Object.values(methods)) {
        operations.push(operationId);
        expect(Object.keys(responses).some((status) => status.startsWith('2'))).toBe(true);
        if (path.startsWith('/ms7/'))
          expect(Object.keys(responses)).toEqual(expect.arrayContaining(['401', '429']));
      }
    }
    expect(new Set(operations).size).toBe(operations.length);
  });

  it('describes what is written by the schemas that check it', () => {
    expect(document.components.schemas).toMatchObject({
      ToolInput: {
        required: ['name', 'definition'],
        properties: { tool_type: { enum: ['standard', 'mcp'] } },
      },
      Definition: { required: ['name', 'description', 'parameters', 'execution'] },
    });
    expect(document.components.schemas.ToolChange).not.toHaveProperty('required');
    expect(Object.keys((document.components.schemas.Tool as { properties: object }).properties).join()).toBe(
      'id,name,tool_type,definition,is_system_tool,owner_id,created_at,updated_at',
    );
  });
});

describe('the page of the documents', () => {
  it.each(['/docs/', '/docs'])('at %s loads all it needs from the same origin', async (path) => {
    const page = await send('GET', path);
    expect(page.status).toBe(200);
    expect(page.headers['content-type']).toMatch(/^text\/html/);
    expect(page.headers['content-security-policy']).toContain("default-src 'self'");
    const assets = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url = '']) => url);
    expect(assets.length).toBeGreaterThan(3);
    expect(page.text).not.toMatch(/<script(?![^>]*\ssrc=)[^>]*>\s*\S/);
    for (const asset of assets) {
      const url = new URL(asset, service.url + path);
      expect(url.origin).toBe(service.url);
      const { status, text } = await send('GET', url.pathname);
      expect([asset, status, text === '']).toEqual([asset, 200, false]);
    }
    const { json } = await send('GET', '/docs/json');
    expect(json).toEqual(document);
  });
});

describe('cross-origin access', () => {
  const corsOf = ({ headers }: Answer<unknown>) =>
    Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('access-control-')));
  const preflight = { origin: ORIGIN, 'access-control-request-method': 'PUT' };

  it('is not given unless it is set', async () => {
    for (const method of ['GET', 'OPTIONS']) {
      expect(corsOf(await send(method, TOOLS, { headers: preflight }))).toEqual({});
    }
  });

  it('is given to the origins that are set, with the headers that they need', async () => {
    await using open = await startTestService({ CORS_ORIGINS: `https://other.example.com,${ORIGIN}` });
    const browser = createHttpClient(open.url);
    const answer = await browser('OPTIONS', `${TOOLS}${ID}/`, { headers: preflight });
    expect([answer.status, answer.text]).toEqual([204, '']);
    const allowed = corsOf(answer);
    expect(allowed).toMatchObject({ 'access-control-allow-origin': ORIGIN });
    expect(answer.headers.vary).toMatch(/Origin/i);
    const list = (name: string) => String(allowed[name]).toLowerCase().split(/,\s*/);
    expect(list('access-control-allow-methods')).toEqual(['get', 'head', 'post', 'put', 'patch', 'delete']);
    expect(list('access-control-allow-headers')).toEqual(
      expect.arrayContaining([
        ...['authorization', 'content-type', 'if-match', 'if-none-match', 'x-request-id'],
        ...['connect-protocol-version', 'connect-timeout-ms', 'grpc-timeout', 'x-grpc-web', 'x-user-agent'],
      ]),
    );

    // Refusals too, so that a page can read why.
    for (const token of [makeToken(), null]) {
      const read = await browser('GET', TOOLS, { token, headers: { origin: ORIGIN } });
      expect(read.headers['access-control-allow-origin']).toBe(ORIGIN);
      const exposed = String(read.headers['access-control-expose-headers']).toLowerCase().split(/,\s*/);
      expect(exposed).toEqual(
        expect.arrayContaining([
          ...['etag', 'link', 'location', 'retry-after', 'www-authenticate', 'x-request-id'],
          ...['grpc-status', 'grpc-message', 'grpc-status-details-bin'],
        ]),
      );
    }
  });

  it('is not given to any other', async () => {
    await using open = await startTestService({ CORS_ORIGINS: ORIGIN });
    const browser = createHttpClient(open.url, makeToken());
    const others = ['https://evil.example.com', 'http://app.example.com', `${ORIGIN}.evil.com`, 'null'];
    for (const origin of [...others, `${ORIGIN}:444`]) {
      for (const method of ['GET', 'OPTIONS']) {
        const answer = await browser(method, TOOLS, { headers: { ...preflight, origin } });
        expect([origin, corsOf(answer)['access-control-allow-origin']]).toEqual([origin, undefined]);
      }
    }
  });
});

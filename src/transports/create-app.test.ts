import { EventEmitter, once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createLogger } from '../logging.ts';
import { createMetrics } from '../metrics.ts';
import { startTestCollector } from '../tracing/test-collector.ts';
import { createTracer } from '../tracing/tracer.ts';
import { createApp } from './create-app.ts';
import { createFlights } from './flights.ts';
import { createListener } from './listener/listener.ts';
import type { Overload } from './overload/overload.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = `00-${TRACE}-00f067aa0ba902b7-01`;

/** An app with a few routes, whose spans are sent when it closes. */
async function startApp(endpoint: string | undefined, overload?: Overload) {
  const tracer = await createTracer({
    endpoint,
    serviceName: 'tool-service',
    serviceVersion: '1.2.3',
    logFault: () => {},
  });
  const listener = createListener();
  const app = await createApp({
    listener,
    logger: await createLogger('silent', process.stdout),
    metrics: createMetrics(),
    tracer,
    flights: createFlights(),
    ...(overload ? { overload } : {}),
    trustedProxies: [],
    corsOrigins: [],
    maxBodyBytes: 1024,
    isDraining: () => false,
  });
  app.decorateRequest('rpc', null);
  app.get('/healthz', async () => 'ok');
  app.get('/ms7/api/v1/tools/:id/', async ({ span }) => span?.context ?? {});
  app.get('/broken/', async () => {
    throw new Error('a secret');
  });
  const hanging = new EventEmitter();
  app.get('/hanging/', () => {
    hanging.emit('reached');
    return new Promise(() => {});
  });
  app.addContentTypeParser('*', { parseAs: 'buffer' }, async () => '');
  for (const code of ['ok', 'not_found', 'internal']) {
    app.post(`/tool.ToolService/${code}`, async (request) => {
      request.rpc = { method: `tool.ToolService/${code}`, code };
      return '';
    });
  }
  await app.ready();
  app.server.listen(0, '127.0.0.1');
  await once(app.server, 'listening');
  return {
    url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`,
    /** Emits `reached` when a request begins to hang. */
    hanging,
    async [Symbol.asyncDispose]() {
      await listener.drain(0);
      await app.close();
      await tracer.close();
    },
  };
}

describe('the span of a request', () => {
  /** What a collector gets of requests to the app. */
  async function exported(send: (url: string, hanging: EventEmitter) => Promise<unknown>) {
    await using collector = await startTestCollector();
    {
      await using app = await startApp(collector.url);
      await send(app.url, app.hanging);
    }
    return collector.spans;
  }

  it('continues the trace of the caller, and bears the pattern of the route', async () => {
    let seen: unknown;
    const spans = await exported(async (url) => {
      const headers = { traceparent: PARENT, tracestate: 'congo=t61' };
      seen = await (await fetch(`${url}/ms7/api/v1/tools/secret/?token=secret`, { headers })).json();
    });
    expect(spans).toHaveLength(1);
    expect(spans[0]).toMatchObject({
      name: 'GET /ms7/api/v1/tools/:id/',
      kind: 2,
      traceId: TRACE,
      parentSpanId: '00f067aa0ba902b7',
      isError: false,
    });
    expect(spans[0]?.attributes).toEqual({
      'http.request.method': 'GET',
      'http.route': '/ms7/api/v1/tools/:id/',
      'http.response.status_code': 200,
    });
    expect(seen).toEqual({ traceparent: `00-${TRACE}-${spans[0]?.spanId}-01`, tracestate: 'congo=t61' });
  });

  it('is not made of health checks', async () => {
    expect(await exported((url) => fetch(`${url}/healthz`))).toEqual([]);
  });

  it('bears no path where nothing is served', async () => {
    const [span] = await exported((url) => fetch(`${url}/wp-admin/secret`, { method: 'PURGE' }));
    expect(span?.name).toBe('HTTP');
    expect(span?.attributes).toEqual({
      'http.request.method': '_OTHER',
      'http.response.status_code': 404,
    });
  });

  it('is an error when the service failed, and does not say how', async () => {
    const [span] = await exported((url) => fetch(`${url}/broken/`));
    expect(span?.isError).toBe(true);
    expect(span?.attributes).toMatchObject({ 'http.response.status_code': 500, 'error.type': '500' });
    expect(JSON.stringify(span)).not.toContain('secret');
  });

  it('ends when the client leaves', async () => {
    const [span] = await exported(async (url, hanging) => {
      const leaving = new AbortController();
      hanging.once('reached', () => leaving.abort());
      await expect(fetch(`${url}/hanging/`, { signal: leaving.signal })).rejects.toThrow();
    });
    expect(span).toMatchObject({ name: 'GET /hanging/', isError: true });
    expect(span?.attributes).toMatchObject({ 'error.type': 'canceled' });
    expect(span?.attributes).not.toHaveProperty('http.response.status_code');
  });

  it.each([
    ['/ms7/api/v1/tools/1/', { 'http.response.status_code': 200 }],
    ['/hanging/', { 'error.type': 'canceled' }],
  ])('tells an answer over HTTP/2 from a client that left: %s', async (path, attributes) => {
    const [span] = await exported(async (url, hanging) => {
      const client = http2.connect(url);
      const request = client.request({ ':path': path }).resume();
      request.once('response', () => request.once('end', () => request.close()));
      hanging.once('reached', () => request.close(http2.constants.NGHTTP2_CANCEL));
      await once(request, 'close');
      client.close();
    });
    expect(span?.attributes).toEqual({
      'http.request.method': 'GET',
      'http.route': expect.any(String),
      ...attributes,
    });
  });

  it.each([
    ['ok', 'application/grpc+proto', { 'rpc.grpc.status_code': 0 }, false],
    ['not_found', 'application/grpc-web+proto', { 'rpc.grpc.status_code': 5 }, false],
    ['internal', 'application/grpc', { 'rpc.grpc.status_code': 13, 'error.type': 'internal' }, true],
  ])('of gRPC has the status %s', async (code, contentType, attributes, isError) => {
    const spans = await exported((url) => postRpc(`${url}/tool.ToolService/${code}`, contentType));
    expect(spans[0]).toMatchObject({ name: `tool.ToolService/${code}`, isError });
    expect(spans[0]?.attributes).toEqual({
      'rpc.system': 'grpc',
      'rpc.service': 'tool.ToolService',
      'rpc.method': code,
      ...attributes,
    });
  });

  it.each([
    ['ok', {}, false],
    ['not_found', { 'rpc.connect_rpc.error_code': 'not_found' }, false],
    ['internal', { 'rpc.connect_rpc.error_code': 'internal', 'error.type': 'internal' }, true],
  ])('of Connect has the code %s', async (code, attributes, isError) => {
    const spans = await exported((url) => postRpc(`${url}/tool.ToolService/${code}`, 'application/json'));
    expect(spans[0]?.isError).toBe(isError);
    expect(spans[0]?.attributes).toEqual({
      'rpc.system': 'connect_rpc',
      'rpc.service': 'tool.ToolService',
      'rpc.method': code,
      ...attributes,
    });
  });
});

const postRpc = (url: string, contentType: string) =>
  fetch(url, { method: 'POST', headers: { 'content-type': contentType }, body: '{}' });

describe('a service that does not trace', () => {
  it('hands on the trace of the caller', async () => {
    await using app = await startApp(undefined);
    const get = async (headers: Record<string, string>) =>
      (await fetch(`${app.url}/ms7/api/v1/tools/1/`, { headers })).json();
    expect(await get({ traceparent: PARENT })).toEqual({ traceparent: PARENT });
    expect(await get({ traceparent: PARENT.toUpperCase() })).toEqual({});
    expect(await get({})).toEqual({});
  });
});

it('asks first whether there is time for a request', async () => {
  const overload: Overload = {
    guard: (handler) => (request, response) => {
      if (request.url === '/healthz') handler(request, response);
      else response.writeHead(503).end('no time');
    },
    close: () => {},
  };
  await using app = await startApp(undefined, overload);
  const refused = await fetch(`${app.url}/ms7/api/v1/tools/1/`);
  expect(refused.status).toBe(503);
  // Nothing of ours has seen it.
  expect(refused.headers.has('x-request-id')).toBe(false);
  expect(await (await fetch(`${app.url}/healthz`)).text()).toBe('ok');
});

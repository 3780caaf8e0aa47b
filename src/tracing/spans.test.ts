import { describe, expect, it } from 'vitest';
import { startAttemptSpan, startToolSpan } from './spans.ts';
import { startTestCollector } from './test-collector.ts';
import { createTracer, type Tracer } from './tracer.ts';

/** The one span that `make` makes, as a collector gets it. */
async function exported(make: (tracer: Tracer) => void) {
  await using collector = await startTestCollector();
  const tracer = await createTracer({
    endpoint: collector.url,
    serviceName: 'tool-service',
    serviceVersion: '1.2.3',
    logFault: () => {},
  });
  make(tracer);
  await tracer.close();
  expect(collector.spans).toHaveLength(1);
  return collector.spans[0];
}

describe('the span of a tool call', () => {
  it('has the tool and the id of the call', async () => {
    const span = await exported((tracer) =>
      startToolSpan(tracer, { name: 'weather', callId: 'call-1', parent: undefined }).end({}),
    );
    expect(span).toMatchObject({ name: 'execute_tool weather', kind: 1, isError: false });
    expect(span?.attributes).toEqual({
      'gen_ai.operation.name': 'execute_tool',
      'gen_ai.tool.name': 'weather',
      'gen_ai.tool.call.id': 'call-1',
    });
  });

  it('has the error code of a call that failed', async () => {
    const span = await exported((tracer) =>
      startToolSpan(tracer, { name: 'weather', callId: '', parent: undefined }).end({ error: 'timeout' }),
    );
    expect(span?.isError).toBe(true);
    expect(span?.attributes).toEqual({
      'gen_ai.operation.name': 'execute_tool',
      'gen_ai.tool.name': 'weather',
      'error.type': 'timeout',
    });
  });

  it.each(['__proto__', 'constructor', ''])('can bear the name "%s"', async (name) => {
    const span = await exported((tracer) =>
      startToolSpan(tracer, { name, callId: name, parent: undefined }).end(),
    );
    expect(span?.attributes['gen_ai.tool.name']).toBe(name);
  });
});

describe('the span of an attempt', () => {
  const attemptTo = (url: string, attempt: number, outcome: { status: number } | { error: string }) =>
    exported((tracer) =>
      startAttemptSpan(tracer, { method: 'GET', url: new URL(url), parent: undefined, attempt }).end(outcome),
    );

  it('has the server and the status, and nothing else of the URL', async () => {
    const span = await attemptTo('https://user:pass@api.example/v1/secret?key=secret#secret', 0, {
      status: 200,
    });
    expect(span).toMatchObject({ name: 'GET', kind: 3, isError: false });
    expect(span?.attributes).toEqual({
      'http.request.method': 'GET',
      'server.address': 'api.example',
      'server.port': 443,
      'http.response.status_code': 200,
    });
  });

  it('counts the attempts before it', async () => {
    const span = await attemptTo('http://127.0.0.1:8080/', 2, { status: 503 });
    expect(span?.isError).toBe(true);
    expect(span?.attributes).toEqual({
      'http.request.method': 'GET',
      'server.address': '127.0.0.1',
      'server.port': 8080,
      'http.request.resend_count': 2,
      'http.response.status_code': 503,
      'error.type': '503',
    });
  });

  it.each([
    [404, true],
    [399, false],
  ])('is an error when its status says so: %d', async (status, isError) => {
    expect((await attemptTo('http://a.example/', 0, { status }))?.isError).toBe(isError);
  });

  it('names the reason when there was no answer', async () => {
    const span = await attemptTo('http://a.example/', 0, { error: 'unreachable' });
    expect(span?.isError).toBe(true);
    expect(span?.attributes).toMatchObject({ 'server.port': 80, 'error.type': 'unreachable' });
    expect(span?.attributes).not.toHaveProperty('http.response.status_code');
  });
});

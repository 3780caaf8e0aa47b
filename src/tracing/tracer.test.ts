import { createServer } from 'node:net';
import { describe, expect, it, vi } from 'vitest';
import { startRequestSpan } from './request-span.ts';
import { startAttemptSpan, startToolSpan } from './spans.ts';
import { startTestCollector } from './test-collector.ts';
import { createTracer, type TracerOptions } from './tracer.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const SAMPLED = { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: 'congo=t61' };

const tracerTo = (endpoint: string | undefined, options: Partial<TracerOptions> = {}) =>
  createTracer({
    endpoint,
    serviceName: 'tool-service',
    serviceVersion: '1.2.3',
    logFault: () => {},
    ...options,
  });

const internal = { kind: 'internal', parent: undefined } as const;

describe('a tracer without an endpoint', () => {
  it('passes on what came, and nothing where nothing came', async () => {
    const tracer = await tracerTo(undefined);
    for (const parent of [SAMPLED, undefined]) {
      const tool = startToolSpan(tracer, { name: 'weather', callId: '1', parent });
      const attempt = startAttemptSpan(tracer, {
        method: 'GET',
        url: new URL('http://a.example/'),
        parent: tool.context,
        attempt: 0,
      });
      expect(attempt.context).toEqual(parent);
      expect({ ...attempt.context }).toEqual(parent ?? {});
      attempt.end({ status: 200 });
      tool.end();
    }
    await tracer.close();
  });
});

describe('a tracer with an endpoint', () => {
  it('exports a request, its tool calls and their attempts as one trace', async () => {
    await using collector = await startTestCollector();
    const tracer = await tracerTo(collector.url);
    const request = startRequestSpan(tracer, {
      method: 'POST',
      route: '/ms7/api/v1/execute/',
      contentType: 'application/json',
      parent: SAMPLED,
    });
    const tool = startToolSpan(tracer, { name: 'weather', callId: 'call-1', parent: request.context });
    const attempt = startAttemptSpan(tracer, {
      method: 'GET',
      url: new URL('https://api.example/v1?q=Berlin'),
      parent: tool.context,
      attempt: 0,
    });
    attempt.end({ status: 200 });
    tool.end();
    request.end({ status: 200, rpcCode: undefined });
    await tracer.close();

    expect(collector.requests).toEqual(['POST /v1/traces application/x-protobuf']);
    const of = (name: string) => collector.spans.find((span) => span.name === name);
    const [first, second, third] = [of('POST /ms7/api/v1/execute/'), of('execute_tool weather'), of('GET')];
    expect(collector.spans).toHaveLength(3);
    expect(first).toMatchObject({ kind: 2, traceId: TRACE, parentSpanId: SPAN, serviceName: 'tool-service' });
    expect(second).toMatchObject({ kind: 1, traceId: TRACE, parentSpanId: first?.spanId });
    expect(third).toMatchObject({ kind: 3, traceId: TRACE, parentSpanId: second?.spanId });
    expect(third?.traceState).toBe('congo=t61');
    expect(attempt.context).toEqual({
      traceparent: `00-${TRACE}-${third?.spanId}-01`,
      tracestate: 'congo=t61',
    });
  });

  it('begins a trace of its own where none came', async () => {
    await using collector = await startTestCollector();
    const tracer = await tracerTo(collector.url);
    const spans = [tracer.startSpan('a', internal), tracer.startSpan('b', internal)];
    for (const span of spans) span.end();
    await tracer.close();
    const [a, b] = collector.spans;
    expect(a).toMatchObject({ name: 'a', parentSpanId: '' });
    expect(a?.traceId).not.toBe(b?.traceId);
    expect(spans[0]?.context).toEqual({ traceparent: `00-${a?.traceId}-${a?.spanId}-01` });
  });

  it('exports nothing of a trace that its caller does not sample, and says so upstream', async () => {
    await using collector = await startTestCollector();
    const tracer = await tracerTo(collector.url);
    const parent = { traceparent: `00-${TRACE}-${SPAN}-00` };
    const tool = startToolSpan(tracer, { name: 'weather', callId: '1', parent });
    const child = tracer.startSpan('child', { ...internal, parent: tool.context });
    child.end();
    tool.end({ error: 'timeout' });
    tracer.startSpan('sampled', internal).end();
    await tracer.close();
    expect(collector.spans.map(({ name }) => name)).toEqual(['sampled']);
    expect(child.context?.traceparent).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
  });

  it('cuts the texts of strangers', async () => {
    await using collector = await startTestCollector();
    const tracer = await tracerTo(collector.url);
    const hostile = `${'\ud800'}${'x'.repeat(100_000)}`;
    startToolSpan(tracer, { name: hostile, callId: hostile, parent: undefined }).end();
    await tracer.close();
    const [span] = collector.spans;
    expect(span?.attributes['gen_ai.tool.name']).toHaveLength(255);
    expect(span?.attributes['gen_ai.tool.call.id']).toHaveLength(255);
    expect(span?.name.length).toBeLessThan(300);
  });

  it.each([
    ['/', '/v1/traces'],
    ['/otlp', '/otlp/v1/traces'],
    ['/otlp/', '/otlp/v1/traces'],
    ['/otlp?key=1', '/otlp/v1/traces?key=1'],
  ])('puts the path of traces below the base URL %s', async (path, expected) => {
    await using collector = await startTestCollector();
    const tracer = await tracerTo(`${collector.url}${path}`);
    tracer.startSpan('a', internal).end();
    await tracer.close();
    expect(collector.requests).toEqual([`POST ${expected} application/x-protobuf`]);
  });

  it('sends a full batch without being closed', async () => {
    await using collector = await startTestCollector();
    const tracer = await tracerTo(collector.url);
    for (let index = 0; index < 512; index++) tracer.startSpan('a', internal).end();
    await vi.waitFor(() => expect(collector.spans).toHaveLength(512), { timeout: 5000 });
    await tracer.close();
  });

  it('takes spans after it was closed, and closes twice', async () => {
    await using collector = await startTestCollector();
    const tracer = await tracerTo(collector.url);
    await tracer.close();
    tracer.startSpan('late', internal).end();
    await tracer.close();
    expect(collector.spans).toEqual([]);
  });
});

describe('a collector that fails', () => {
  it.concurrent('disturbs nobody when it is away, and is not waited for', async () => {
    const print = ['log', 'info', 'warn', 'error'] as const;
    const printed = print.map((name) => vi.spyOn(console, name));
    const tracer = await tracerTo(`http://127.0.0.1:${await closedPort()}`);
    const start = performance.now();
    for (let index = 0; index < 10_000; index++) tracer.startSpan('a', internal).end();
    expect(performance.now() - start).toBeLessThan(2000);
    await tracer.close();
    expect(performance.now() - start).toBeLessThan(5000);
    for (const spy of printed) {
      expect(spy).not.toHaveBeenCalled();
      spy.mockRestore();
    }
  });

  it.concurrent('is not waited for when it never answers, while a bounded number of spans waits', async () => {
    await using collector = await startTestCollector(() => {});
    const tracer = await tracerTo(collector.url);
    for (let index = 0; index < 10_000; index++) tracer.startSpan('a', internal).end();
    const start = performance.now();
    await tracer.close();
    expect(performance.now() - start).toBeGreaterThan(1900);
    expect(performance.now() - start).toBeLessThan(3500);
    // One batch under way and a full queue.
    expect(collector.spans).toHaveLength(512 + 2048);
  });

  it('is told of once a minute', async () => {
    await using collector = await startTestCollector((response) => response.writeHead(400).end());
    let time = 1_000_000;
    const faults: unknown[] = [];
    const tracer = await tracerTo(collector.url, {
      now: () => time,
      logFault: (error) => faults.push(error),
    });
    const failBatches = async (total: number) => {
      while (collector.spans.length < total) {
        for (let index = 0; index < 512; index++) tracer.startSpan('a', internal).end();
        const expected = collector.spans.length + 512;
        await vi.waitFor(() => expect(collector.spans).toHaveLength(expected), { timeout: 5000 });
      }
    };
    await failBatches(1024);
    await vi.waitFor(() => expect(faults).toHaveLength(1));
    time += 60_000;
    await failBatches(2048);
    await vi.waitFor(() => expect(faults).toHaveLength(2));
    await tracer.close();
    expect(faults).toHaveLength(2);
    expect(faults[0]).toBeInstanceOf(Error);
  });
});

/** A port of loopback on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}

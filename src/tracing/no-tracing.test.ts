import { expect, it, vi } from 'vitest';

it('loads OpenTelemetry only where there is an endpoint', async () => {
  const load = vi.fn(() => ({ createOtlpTracer: () => 'loaded' }));
  vi.doMock('./otlp-tracer.ts', load);
  const { createTracer } = await import('./tracer.ts');
  const options = { serviceName: 'tool-service', serviceVersion: '1.2.3', logFault: () => {} };
  await createTracer({ endpoint: undefined, ...options });
  expect(load).not.toHaveBeenCalled();
  await createTracer({ endpoint: 'http://127.0.0.1:4318', ...options });
  expect(load).toHaveBeenCalled();
});

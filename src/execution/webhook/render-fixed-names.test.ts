import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../json.ts';
import type { WebhookExecution } from '../../tools/definition.ts';
import { prepareRequest } from './render-request.ts';

function render(execution: Partial<Omit<WebhookExecution, 'type'>>, values: JsonObject) {
  const names = new Set(['x', ...Object.keys(values)]);
  return prepareRequest({ type: 'webhook', url: 'https://x.example/', ...execution }, names)(values);
}

describe('what the definition writes into a body', () => {
  it.each(['role', 'Role', 'ROLE', 'rOLE'])('is not written by an argument %s too', (name) => {
    expect(render({ body: { role: 'reader' } }, { [name]: 'admin', a: 1 }).body).toBe(
      '{"a":1,"role":"reader"}',
    );
  });

  it.each([
    ['Straße', 'STRASSE'],
    ['task', 'taſk'],
    ['key', '\u212Aey'],
    ['É', 'é'],
    ['LIMIT', 'limıt'],
  ])('is %s in whatever case, as in %s', (key, name) => {
    expect(render({ body: { [key]: 1 } }, { [name]: 2 }).body).toBe(JSON.stringify({ [key]: 1 }));
  });

  it('stays its own when its value was not given', () => {
    expect(render({ body: { role: '{x}' } }, { Role: 'admin' }).body).toBe('{}');
  });

  it('comes last', () => {
    expect(render({ body: { b: '{x}', c: 1 } }, { a: 0, x: 2, d: [3] }).body).toBe(
      '{"a":0,"d":[3],"b":2,"c":1}',
    );
  });

  it('is also what a hidden parameter holds as a whole', () => {
    expect(render({ body: '{x}' }, { x: { tenant: 'acme' }, Tenant: 'evil', a: 1 }).body).toBe(
      '{"a":1,"tenant":"acme"}',
    );
  });

  it('leaves names alone that are others', () => {
    expect(render({ body: { role: 1 } }, { 'role[]': 2, roles: 3, 'role ': 4 }).body).toBe(
      '{"role[]":2,"roles":3,"role ":4,"role":1}',
    );
  });

  it('is no part of a name in a form either', () => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const values = { 'Role[]': 'admin', 'role[a][b]': 'admin', a: 1 };
    expect(render({ headers, body: { role: 'reader' } }, values).body).toBe('a=1&role=reader');
  });
});

describe('what the definition writes into a query', () => {
  const fixed = { url: 'https://x.example/?tenant=acme&filter%5Bteam%5D=7', query: { Limit: 5 } };

  it.each([
    'tenant',
    'Tenant',
    'TENANT[]',
    'tenant[a]',
    'tenant[a][b]',
    'limit',
    'LIMIT[0]',
    'Filter[Team]',
    'filter[team][]',
  ])('is not written by an argument %s too', (name) => {
    expect(render({ method: 'GET', ...fixed }, { [name]: 'evil', a: 1 }).url).toBe(
      'https://x.example/?a=1&tenant=acme&filter%5Bteam%5D=7&Limit=5',
    );
  });

  it('leaves names alone that are others', () => {
    expect(render({ method: 'GET', ...fixed }, { 'filter[size]': 1, tenants: 2, '[]': 3 }).url).toBe(
      'https://x.example/?filter%5Bsize%5D=1&tenants=2&%5B%5D=3&tenant=acme&filter%5Bteam%5D=7&Limit=5',
    );
  });
});

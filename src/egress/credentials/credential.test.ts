import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../json.ts';
import { readCredential } from './credential.ts';

const place = (key: string) => `/execution/authentication/${key}`;
const mask = '********';

describe('readCredential', () => {
  it.each<[JsonObject, Record<string, string>]>([
    [{ type: 'bearer', token: mask }, { token: 't' }],
    [{ type: 'basic', username: 'u', password: mask }, { password: '' }],
    [{ type: 'api_key', in: 'query', name: 'key', value: mask }, { value: 'v' }],
    [
      {
        type: 'oauth2_client_credentials',
        token_url: 'https://a.example/t',
        client_id: 'c',
        client_secret: mask,
      },
      { client_secret: 's' },
    ],
    [{ type: 'standard_webhooks', secret: mask }, { secret: 'whsec_A' }],
    [
      { type: 'standard_webhooks', secret: mask, previous_secret: mask },
      { secret: 'whsec_A', previous_secret: 'whsec_B' },
    ],
  ])('puts the secrets back: %j', (authentication, secrets) => {
    const stored = Object.fromEntries(Object.entries(secrets).map(([key, value]) => [place(key), value]));
    expect(readCredential(authentication, stored)).toEqual({ ...authentication, ...secrets });
    for (const missing of Object.keys(stored)) {
      const others = Object.entries(stored).filter(([key]) => key !== missing);
      expect(readCredential(authentication, Object.fromEntries(others))).toBeUndefined();
    }
  });

  it('leaves out a previous key that the definition has no more', () => {
    const stored = { [place('secret')]: 'whsec_A', [place('previous_secret')]: 'whsec_B' };
    expect(readCredential({ type: 'standard_webhooks', secret: mask }, stored)).toEqual({
      type: 'standard_webhooks',
      secret: 'whsec_A',
    });
  });

  it.each(['constructor', '__proto__', 'digest', ''])('knows no type %j', (type) => {
    expect(readCredential({ type, token: mask }, { [place('token')]: 't' })).toBeUndefined();
  });
});

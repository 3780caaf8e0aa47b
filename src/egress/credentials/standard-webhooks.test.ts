import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { signWebhook, webhookHeaders } from './standard-webhooks.ts';

// The example of the reference libraries (github.com/standard-webhooks/standard-webhooks).
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const previous = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD';
const message = {
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  timestamp: 1614265330_000,
  payload: '{"test": 2432232314}',
};
const signature = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=';

describe('signWebhook', () => {
  it.each([secret, secret.slice('whsec_'.length)])('signs as the published example: %s', (key) => {
    expect(signWebhook({ type: 'standard_webhooks', secret: key }, message)).toEqual([signature]);
  });

  it('signs with the current key first, then with the previous one', () => {
    const keys = { type: 'standard_webhooks', secret: previous, previous_secret: secret } as const;
    const signatures = signWebhook(keys, message);
    const key = Buffer.from('C2FVsBQIhrscChlQIMV+b5sSYspob7oD', 'base64');
    const expected = createHmac('sha256', key)
      .update('msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}')
      .digest('base64');
    expect(signatures).toEqual([`v1,${expected}`, signature]);
    expect(webhookHeaders(message, signatures)).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': `v1,${expected} ${signature}`,
    });
  });

  it('signs whole seconds, and the bytes of UTF-8', () => {
    const keys = { type: 'standard_webhooks', secret } as const;
    expect(signWebhook(keys, { ...message, timestamp: message.timestamp + 999 })).toEqual([signature]);
    const key = Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64');
    const bytes = Buffer.concat([Buffer.from('m.1.'), Buffer.from([0xc3, 0xa9])]);
    expect(signWebhook(keys, { id: 'm', timestamp: 1000, payload: 'é' })).toEqual([
      `v1,${createHmac('sha256', key).update(bytes).digest('base64')}`,
    ]);
  });
});

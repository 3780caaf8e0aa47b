import type { AsyncMessage } from 'rabbitmq-client';
import { describe, expect, it } from 'vitest';
import { freshHistory, setAside } from './incoming.ts';

const envelopeOf = (properties: Partial<AsyncMessage>, options = {}) => {
  const message = { exchange: 'e', routingKey: 'k', body: Buffer.alloc(0), ...properties } as AsyncMessage;
  return setAside(message, freshHistory(message), { exchange: '', routingKey: 'q' }, options).envelope;
};
const anyUuid = expect.stringMatching(/^[0-9a-f-]{36}$/);

describe('setAside', () => {
  it('keeps a time that can be written again', () => {
    for (const timestamp of [0, 1_700_000_000, Number.MAX_SAFE_INTEGER]) {
      expect(envelopeOf({ timestamp })).toMatchObject({ timestamp });
    }
    for (const timestamp of [2 ** 53, 2 ** 64, -1, 1.5, Number.NaN, undefined]) {
      expect(envelopeOf({ timestamp } as object)).not.toHaveProperty('timestamp');
    }
  });

  it('keeps an id of no more bytes than one may have', () => {
    expect(envelopeOf({ messageId: 'é'.repeat(127) }).messageId).toBe('é'.repeat(127));
    for (const messageId of ['é'.repeat(128), '', undefined]) {
      expect(envelopeOf({ messageId } as object).messageId).toEqual(anyUuid);
    }
  });

  it('leaves all but the id behind when told to', () => {
    const properties = { messageId: 'a', timestamp: 1, type: 't', contentType: 'c', contentEncoding: 'e' };
    expect(envelopeOf(properties)).toMatchObject(properties);
    const { headers, ...bare } = envelopeOf(properties, { isBare: true, reason: 'because' });
    expect(bare).toEqual({ exchange: '', routingKey: 'q', messageId: 'a' });
    expect(headers).toMatchObject({ 'x-reason': 'because', 'x-attempt': '1' });
  });
});

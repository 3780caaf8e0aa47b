import { createHmac } from 'node:crypto';
import type { WebhookKeys } from './credential.ts';

const SECRET_PREFIX = 'whsec_';

export interface SignedMessage {
  /** Without a full stop, since these part what is signed. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  /** Exactly as it is sent. */
  readonly payload: string;
}

/**
 * The signatures of a message, of the current key first (Standard Webhooks 1.0.0, "Signature scheme"): HMAC-SHA256 in
 * base64, each behind its version.
 */
export function signWebhook(keys: WebhookKeys, { id, timestamp, payload }: SignedMessage): string[] {
  const content = `${id}.${webhookTimestamp(timestamp)}.${payload}`;
  return [keys.secret, keys.previous_secret]
    .filter((secret) => secret !== undefined)
    .map((secret) => {
      const key = Buffer.from(withoutPrefix(secret), 'base64');
      return `v1,${createHmac('sha256', key).update(content, 'utf8').digest('base64')}`;
    });
}

/** The headers of a signed message. */
export function webhookHeaders({ id, timestamp }: SignedMessage, signatures: readonly string[]) {
  return {
    'webhook-id': id,
    'webhook-timestamp': webhookTimestamp(timestamp),
    'webhook-signature': signatures.join(' '),
  };
}

/** A key as it may be told without the prefix. */
export function withoutPrefix(secret: string): string {
  return secret.startsWith(SECRET_PREFIX) ? secret.slice(SECRET_PREFIX.length) : secret;
}

function webhookTimestamp(milliseconds: number): string {
  return String(Math.floor(milliseconds / 1000));
}

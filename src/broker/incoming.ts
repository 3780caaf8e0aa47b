import { randomUUID } from 'node:crypto';
import type { AsyncMessage } from 'rabbitmq-client';
import { clip } from '../clip.ts';
import type { Parcel } from './confirm-channel.ts';

/** A message as its handler sees it. */
export interface IncomingMessage {
  readonly body: Buffer;
  readonly messageId: string | undefined;
  /** It may have been handled before. */
  readonly redelivered: boolean;
  /** 1 for the first. Counts only the attempts of which the broker could be told. */
  readonly attempt: number;
}

/** What has become of a message: done with for good; or nothing can ever come of it, for this reason. */
export type Outcome = 'done' | { readonly deadLetter: string };

/** What the broker is told of a message when it is set aside, beside the message itself. */
export interface History {
  readonly attempt: number;
  /** Where it was published. */
  readonly exchange: string;
  readonly routingKey: string;
  /** ISO 8601; undefined before the first failure. */
  readonly firstFailedAt: string | undefined;
  /** Not to be tried again before, in milliseconds since 1970. */
  readonly notBefore: number;
}

const LONGEST_REASON = 500;

/**
 * The bytes of a message. The client has parsed what calls itself JSON, so that its bytes may differ from those that were
 * sent: spaces, and keys that stood twice.
 */
export function bodyOf({ body }: Pick<AsyncMessage, 'body'>): Buffer {
  if (Buffer.isBuffer(body)) return body;
  if (typeof body === 'string') return Buffer.from(body);
  try {
    return Buffer.from(JSON.stringify(body) ?? '');
  } catch {
    // Nested more deeply than can be written: no body of anybody's.
    return Buffer.alloc(0);
  }
}

/** What is known of a message that comes from the queue of those to be tried again. */
export function historyOf(message: AsyncMessage): History {
  const exchange = header(message, 'x-original-exchange');
  const routingKey = header(message, 'x-original-routing-key');
  return {
    attempt: numberOf(header(message, 'x-attempt')) ?? 1,
    exchange: exchange ?? message.exchange,
    routingKey: routingKey ?? message.routingKey,
    firstFailedAt: header(message, 'x-first-failed-at'),
    notBefore: numberOf(header(message, 'x-not-before')) ?? 0,
  };
}

/** What is known of a message that was just published: nothing, whatever its headers say. */
export function freshHistory({ exchange, routingKey }: AsyncMessage): History {
  return { attempt: 1, exchange, routingKey, firstFailedAt: undefined, notBefore: 0 };
}

/**
 * Sets a message aside, with what is known of it. Its own headers stay behind: they are anybody's, of any size.
 *
 * @param options.isBare leaves its properties behind as well, but for its id: somebody may have chosen them so that they
 * cannot be written again.
 */
export function setAside(
  message: AsyncMessage,
  history: History,
  to: { readonly exchange: string; readonly routingKey: string },
  { reason, isBare = false }: { readonly reason?: string | undefined; readonly isBare?: boolean } = {},
): Parcel {
  return {
    envelope: {
      ...to,
      messageId: idOf(message),
      ...(isBare ? {} : propertiesOf(message)),
      headers: {
        ...(reason === undefined ? {} : { 'x-reason': clip(reason, LONGEST_REASON) }),
        'x-attempt': String(history.attempt),
        'x-original-exchange': history.exchange,
        'x-original-routing-key': history.routingKey,
        'x-first-failed-at': history.firstFailedAt,
        'x-not-before': String(history.notBefore),
      },
    },
    body: bodyOf(message),
  };
}

/** Its own id, where that can be written as it is: what comes back is known by it. */
function idOf({ messageId }: AsyncMessage): string {
  return messageId && Buffer.byteLength(messageId) <= 255 ? messageId : randomUUID();
}

/** The properties that a message keeps. Times of brokers have up to 64 bits, more than a number can hold. */
function propertiesOf({ contentType, contentEncoding, timestamp, type }: AsyncMessage): object {
  const isTime = Number.isSafeInteger(timestamp) && (timestamp ?? -1) >= 0;
  const own = { contentType, contentEncoding, timestamp: isTime ? timestamp : undefined, type };
  return Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined));
}

/** A header of ours: text of no more bytes than a name may have. */
function header({ headers }: AsyncMessage, name: string): string | undefined {
  const value: unknown = headers && Object.hasOwn(headers, name) ? headers[name] : undefined;
  return typeof value === 'string' && Buffer.byteLength(value) <= 255 ? value : undefined;
}

function numberOf(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

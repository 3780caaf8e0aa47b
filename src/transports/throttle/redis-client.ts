import { createClient } from '@redis/client';

/** A script and what it is run with. */
export interface Evaluation {
  readonly script: string;
  /** The script's SHA-1 in hexadecimal. */
  readonly id: string;
  readonly key: string;
  readonly values: readonly string[];
}

export type Client = ReturnType<typeof newClient>;

/** A client for one connection: it neither queues nor connects again by itself. */
export function newClient(url: string, connectTimeout: number) {
  const client = createClient({
    url,
    RESP: 2,
    socket: { connectTimeout, reconnectStrategy: false },
    // What it limits is the time before a command is written, at the price of a timer for each.
    commandOptions: { timeout: 0 },
    disableClientInfo: true,
    maintNotifications: 'disabled',
  });
  client.unref();
  return client;
}

/**
 * What a script answers: a whole number of 0 or more.
 *
 * @throws Error for any other answer, and what the client throws.
 */
export async function run(client: Client, { script, id, key, values }: Evaluation): Promise<number> {
  let answer: unknown;
  try {
    answer = await client.sendCommand(['EVALSHA', id, '1', key, ...values]);
  } catch (error) {
    if (codeOf(error) !== 'NOSCRIPT') throw error;
    answer = await client.sendCommand(['EVAL', script, '1', key, ...values]);
  }
  if (Number.isSafeInteger(answer) && (answer as number) >= 0) return answer as number;
  throw new LinkError('an answer of another kind');
}

/** What went wrong, in words of ours. */
export class LinkError extends Error {
  override readonly name = 'LinkError';
}

/**
 * Why Redis is away, in no more than a code or words of ours: an error of Redis may repeat what it was sent, the password
 * too.
 */
export function reasonOf(error: unknown): string {
  if (error instanceof LinkError) return error.message;
  return codeOf(error) ?? (error instanceof Error ? error.constructor.name : 'unknown');
}

/** The code of an error of the system, or of one that Redis answered with. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  return /^[A-Z]{2,30}(?= |$)/.exec(error.message)?.[0];
}

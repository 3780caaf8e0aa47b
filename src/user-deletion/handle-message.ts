import { ServiceError } from '../errors.ts';
import { getOwn, isJsonObject } from '../json.ts';
import type { Logger } from '../logging.ts';
import { parseUuid } from '../uuid.ts';
import { type DeletionContext, deleteUser } from './delete-user.ts';

export interface DeletionMessageContext extends DeletionContext {
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>;
}

/** What becomes of a message: it is done with, or it can never be handled. */
export type DeletionOutcome =
  | 'done'
  | { /** Printable ASCII, at most 200 characters. */ readonly deadLetter: string };

/** Bytes of a body. */
const MAX_BODY_BYTES = 64 * 1024;

/** Characters of a body that a reason shows. */
const EXCERPT_CHARACTERS = 80;

/**
 * Deletes the user whom a message `{"user_id":"<uuid>"}` names; other keys are ignored, and of two with the same name the
 * last counts, as JSON parsers have it. Once it resolves, what was done is stored, and the message can be acknowledged. The
 * same message again has no effect.
 *
 * @throws whatever keeps the user from being deleted now: try the message again later.
 */
export async function handleDeletionMessage(
  context: DeletionMessageContext,
  body: Buffer | string,
): Promise<DeletionOutcome> {
  const { logger } = context;
  const read = readBody(body);
  if ('deadLetter' in read) {
    logger.error({ reason: read.deadLetter }, 'a message asks for a deletion that cannot be made: set aside');
    return read;
  }
  try {
    const { isRepeated, ...removed } = await deleteUser(context, read.userId);
    if (!isRepeated) logger.info({ userId: read.userId, ...removed }, 'a user was deleted');
    return 'done';
  } catch (error) {
    const level = error instanceof ServiceError ? 'warn' : 'error';
    logger[level]({ err: error, userId: read.userId }, 'a user cannot be deleted now: to be tried again');
    throw error;
  }
}

function readBody(body: Buffer | string): { readonly userId: string } | { readonly deadLetter: string } {
  if (Buffer.byteLength(body) > MAX_BODY_BYTES) {
    return { deadLetter: `the body has more than ${MAX_BODY_BYTES} bytes` };
  }
  let text: string;
  try {
    text = typeof body === 'string' ? body : new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    return { deadLetter: 'the body is not UTF-8' };
  }
  const refuse = (fault: string) => ({ deadLetter: `${fault}: ${excerpt(text)}` });
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return refuse('the body is not JSON');
  }
  if (!isJsonObject(message)) return refuse('the body is not a JSON object');
  const value = getOwn(message, 'user_id');
  if (value === undefined) return refuse('the body has no user_id');
  const userId = parseUuid(value);
  return userId === undefined ? refuse('user_id is not a UUID') : { userId };
}

/** The beginning of a stranger's text, for the log and for a message's header. */
function excerpt(text: string): string {
  const beginning = text.slice(0, EXCERPT_CHARACTERS).replace(/[^\x20-\x7e]/g, '?');
  return text.length > EXCERPT_CHARACTERS ? `${beginning}...` : beginning;
}

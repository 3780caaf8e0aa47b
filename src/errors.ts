/**
 * What a caller did wrong, or what the service could not do, in the words of Connect's status codes. Closed, so that
 * each transport's table of answers is checked by the compiler.
 */
export type ErrorCode =
  | 'invalid_argument'
  | 'unauthenticated'
  | 'permission_denied'
  | 'not_found'
  | 'already_exists'
  | 'failed_precondition'
  | 'aborted'
  | 'resource_exhausted'
  | 'deadline_exceeded'
  | 'canceled'
  | 'unavailable';

/** Messages for a field of the input, by the field's name. */
export type FieldErrors = Record<string, string[]>;

/**
 * A refusal that the caller may read. `message` and `fields` leave the process; `cause` is for the log alone.
 * Everything thrown that is not a ServiceError is a fault of ours and leaves as "internal error".
 */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  readonly code: ErrorCode;
  readonly fields: FieldErrors | undefined;

  constructor(code: ErrorCode, message: string, options: { fields?: FieldErrors; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.fields = options.fields;
  }
}

/** A field of the input is not acceptable: `invalid_argument` with the field's message. */
export function invalidField(field: string, message: string): ServiceError {
  return new ServiceError('invalid_argument', `${field}: ${message}`, { fields: { [field]: [message] } });
}

/** A fault in words of ours, which may be shown as they are: they hold no URL, host, path or secret. */
export class StatedFault extends Error {
  override readonly name = 'StatedFault';
}

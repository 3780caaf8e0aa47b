import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { type ErrorCode, ServiceError } from '../../errors.ts';
import type { Refusal } from '../authenticate.ts';

/** The answer to each kind of refusal. A code without a line here does not compile. */
const STATUS: Record<ErrorCode, number> = {
  invalid_argument: 400,
  unauthenticated: 401,
  permission_denied: 403,
  not_found: 404,
  already_exists: 409,
  failed_precondition: 409,
  aborted: 412,
  resource_exhausted: 429,
  canceled: 499,
  unavailable: 503,
  deadline_exceeded: 504,
};

/** What only REST knows: a status, a body and headers of its own. */
export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly status: number;
  readonly body: object;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, body: object, headers: Readonly<Record<string, string>> = {}) {
    super(`HTTP ${status}`);
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

export function unauthorized(refusal: Refusal): HttpError {
  return new HttpError(401, refusal, { 'WWW-Authenticate': 'Bearer realm="api"' });
}

export function throttled(seconds: number): HttpError {
  return new HttpError(
    429,
    { detail: `Request was throttled. Expected available in ${seconds} seconds.` },
    { 'Retry-After': String(seconds) },
  );
}

export function unsupportedMediaType(mediaType: string): HttpError {
  return new HttpError(415, { detail: `Unsupported media type "${mediaType}" in request.` });
}

export function methodNotAllowed(method: string, allowed: readonly string[]): HttpError {
  return new HttpError(405, { detail: `Method "${method}" not allowed.` }, { Allow: allowed.join(', ') });
}

/** The `Content-Type` of a request as it was sent; empty where it was not. */
export function contentTypeOf(request: FastifyRequest): string {
  return request.headers['content-type'] ?? '';
}

/** Turns whatever was thrown into an answer. What is not meant for the caller is logged and leaves as a bare 500. */
export function sendError(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply) {
  if (error instanceof HttpError) {
    return reply.code(error.status).headers(error.headers).send(error.body);
  }
  if (error instanceof ServiceError) {
    if (error.cause) request.log.warn({ err: error.cause }, error.message);
    return reply.code(STATUS[error.code]).send(error.fields ?? { detail: error.message });
  }
  const status = 'statusCode' in error ? error.statusCode : undefined;
  if (status === 413) return reply.code(413).send({ detail: 'Request body is too large (MAX_BODY_BYTES).' });
  if (status === 415) return sendError(unsupportedMediaType(contentTypeOf(request)), request, reply);
  // Fastify's own refusals: a URL that cannot be decoded, a content length that does not fit, and their like.
  if (status !== undefined && status >= 400 && status < 500) {
    return reply.code(status).send({ detail: 'Bad request.' });
  }
  request.log.error({ err: error }, 'request failed');
  return reply.code(500).send({ detail: 'Internal server error.', request_id: request.id });
}

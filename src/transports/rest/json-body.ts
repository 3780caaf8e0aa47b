import { isUtf8 } from 'node:buffer';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { contentTypeOf, HttpError, unsupportedMediaType } from './errors.ts';

const JSON_TYPE = /^application\/(?:json|[\w.-]+\+json)$/;

/**
 * Takes bodies of every type as bytes, so that a handler reads them when it has checked what comes before: an unknown
 * tool is 404, whatever the body holds.
 */
export function acceptRawBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
}

/**
 * The request's body as JSON (RFC 8259, in UTF-8 without a byte order mark); undefined where it has none.
 *
 * @throws HttpError 415 for another content type, 400 for what is not JSON.
 */
export function readJson(request: FastifyRequest): unknown {
  const bytes = request.body;
  if (!Buffer.isBuffer(bytes) || bytes.length === 0) return undefined;
  const mediaType = contentTypeOf(request);
  const essence = mediaType.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (!JSON_TYPE.test(essence)) throw unsupportedMediaType(mediaType);
  if (!isUtf8(bytes)) throw parseError('the body is not UTF-8');
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw parseError(error instanceof Error ? error.message : 'not JSON');
  }
}

/** As `readJson`, where no body counts as an object without fields. */
export function readInput(request: FastifyRequest): unknown {
  const body = readJson(request);
  return body === undefined ? {} : body;
}

function parseError(words: string): HttpError {
  return new HttpError(400, { detail: `JSON parse error - ${words}` });
}

import { type ContextValues, createContextKey } from '@connectrpc/connect';
import type { FastifyRequest } from 'fastify';
import type { Caller } from '../../caller.ts';
import { ServiceError } from '../../errors.ts';
import { parseUuid } from '../../uuid.ts';

/** Whom the credentials of an RPC name; set by the interceptor that checks them. */
export const credentialsKey = createContextKey<Caller | undefined>(undefined);

/** The HTTP request that an RPC came in. */
export const httpRequestKey = createContextKey<FastifyRequest | undefined>(undefined);

/**
 * For whom an RPC acts: a user's token for its user, a service for the user whom the request names.
 *
 * @throws ServiceError `invalid_argument` when `userId` is no UUID, `permission_denied` when a user's token comes with
 * another user's id.
 */
export function callerFor(values: ContextValues, userId: string): Caller {
  const credentials = values.get(credentialsKey);
  if (!credentials) throw new Error('an RPC that needs a caller is not guarded');
  if (userId === '') return credentials;
  const named = parseUuid(userId);
  if (named === undefined) throw new ServiceError('invalid_argument', 'user_id must be a UUID.');
  if (credentials.kind !== 'user') return { ...credentials, userId: named };
  if (named === credentials.userId) return credentials;
  throw new ServiceError('permission_denied', 'user_id names another user than the token.');
}

import type { FastifyRequest } from 'fastify';
import type { Caller } from '../../caller.ts';
import { type Authenticate, type Authentication, invalidToken, NO_CREDENTIALS } from '../authenticate.ts';
import type { Throttle } from '../throttle.ts';
import { throttled, unauthorized } from './errors.ts';

export type User = Extract<Caller, { kind: 'user' }>;

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by `requireUser` before a handler that needs it runs. */
    callingUser: User | null;
  }
}

export interface GuardContext {
  readonly authenticate: Authenticate;
  readonly throttle: Throttle;
}

/**
 * Lets users in: counts the request, then answers 429 or 401 where that is due. REST takes users' tokens alone; a
 * service's token counts as one that is not valid.
 */
export function requireUser({ authenticate, throttle }: GuardContext, request: FastifyRequest): User {
  const authentication = usersOnly(authenticate(request.headers.authorization));
  const seconds = throttle.take(authentication, request.ip);
  if (seconds > 0) throw throttled(seconds);
  if (authentication.kind === 'caller' && authentication.caller.kind === 'user') {
    request.callingUser = authentication.caller;
    return authentication.caller;
  }
  throw unauthorized(authentication.kind === 'refused' ? authentication.refusal : NO_CREDENTIALS);
}

function usersOnly(authentication: Authentication): Authentication {
  if (authentication.kind !== 'caller' || authentication.caller.kind === 'user') return authentication;
  return { kind: 'refused', refusal: invalidToken('Token is invalid') };
}

/** The user whom `requireUser` has let in. */
export function userOf(request: FastifyRequest): User {
  if (request.callingUser) return request.callingUser;
  throw new Error('a handler that needs a user is not guarded');
}

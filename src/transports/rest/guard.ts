import type { FastifyRequest } from 'fastify';
import type { Caller } from '../../caller.ts';
import { type AdmissionContext, admit } from '../admit.ts';
import { type Authentication, invalidToken, NO_CREDENTIALS } from '../authenticate.ts';
import { throttled, unauthorized } from './errors.ts';

export type User = Extract<Caller, { kind: 'user' }>;

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by `requireUser` before a handler that needs it runs. */
    callingUser: User | null;
  }
}

/**
 * Lets users in: counts the request, then answers 429 or 401 where that is due. REST takes users' tokens alone; a
 * service's token counts as one that is not valid.
 */
export async function requireUser(context: AdmissionContext, request: FastifyRequest): Promise<void> {
  const { authorization } = request.headers;
  const admission = await admit(context, { authorization, address: request.ip }, usersOnly);
  if (admission.kind === 'throttled') throw throttled(admission.seconds);
  if (admission.kind === 'caller' && admission.caller.kind === 'user') request.callingUser = admission.caller;
  else throw unauthorized(admission.kind === 'refused' ? admission.refusal : NO_CREDENTIALS);
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

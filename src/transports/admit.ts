import type { Authenticate, Authentication } from './authenticate.ts';
import type { Throttle } from './throttle.ts';

export interface AdmissionContext {
  readonly authenticate: Authenticate;
  readonly throttle: Throttle;
}

/** What a request's credentials come to, or the seconds to wait where whoever makes it is over the limit. */
export type Admission = Authentication | { readonly kind: 'throttled'; readonly seconds: number };

/**
 * The first two checks of every request, in their order: authenticates, then counts it, once. The refusal of those who
 * are not authenticated is the transport's, and comes after.
 *
 * @param restrict refuses kinds of credentials that the transport does not take; they are counted as refused then.
 * @throws ServiceError `unavailable` when the credentials cannot be checked now.
 */
export async function admit(
  { authenticate, throttle }: AdmissionContext,
  { authorization, address }: { authorization: string | undefined; address: string },
  restrict: (authentication: Authentication) => Authentication = (authentication) => authentication,
): Promise<Admission> {
  const authentication = restrict(await authenticate(authorization));
  const seconds = await throttle.take(authentication, address);
  return seconds > 0 ? { kind: 'throttled', seconds } : authentication;
}

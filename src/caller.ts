/**
 * Who is calling. A transport makes it from the request's credentials; features decide by it alone.
 *
 * - `user`: the bearer of a user's token. `isStaff` makes an administrator, who manages system tools.
 * - `service`: another service of the platform, by its service token. It acts for `userId`, or for nobody.
 * - `trusted-network`: a call without credentials that `RPC_AUTH=trusted-network` lets count as a service's.
 *
 * User ids are UUIDs in canonical spelling (lower case, hyphens).
 */
export type Caller =
  | { readonly kind: 'user'; readonly userId: string; readonly isStaff: boolean }
  | { readonly kind: 'service'; readonly name: string; readonly userId: string | null }
  | { readonly kind: 'trusted-network'; readonly userId: string | null };

/** Only administrators change system tools and see their `pointer`. */
export function isAdministrator(caller: Caller): boolean {
  return caller.kind === 'user' && caller.isStaff;
}

/** Whom to count a call for, where limits and keys are a caller's own: the user, or the service that acts for nobody. */
export function callerKey(caller: Caller): string {
  if (caller.userId !== null) return caller.userId;
  return caller.kind === 'service' ? `service:${caller.name}` : caller.kind;
}

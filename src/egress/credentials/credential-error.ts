/**
 * A token endpoint answered, but gave no token; the request that needs it was not sent. `message` may be shown to a
 * caller: it never holds a part of the answer, a URL, an address or a secret. It has no `cause`, since whatever could be
 * one quotes the answer.
 */
export class CredentialError extends Error {
  override readonly name = 'CredentialError';
}

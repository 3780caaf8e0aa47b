import fastifyJwt, { type JWT } from '@fastify/jwt';
import type { FastifyInstance } from 'fastify';
import { createLruCache } from '../lru-cache.ts';

/** Signs and verifies HS256 tokens; says nothing of their claims. */
export interface Tokens {
  /** The payload of a token that one of the keys has signed. @throws Error for any other. */
  verify(token: string): unknown;
  /** A token of these claims, signed with the first key. */
  sign(claims: Record<string, unknown>): string;
}

/** Tokens whose signature was found right are remembered, so that a caller's next request need not be checked again. */
const REMEMBERED_TOKENS = 10_000;
const REMEMBERED_LENGTH = 2048;

/**
 * Puts the verification of tokens on an application.
 *
 * Times are not checked here: they are claims like the others, and `authenticate` has a table of answers for them.
 *
 * @param keys the first signs, all verify: a key is rotated by putting a new one in front.
 */
export async function registerTokens(app: FastifyInstance, keys: readonly string[]): Promise<Tokens> {
  const namespaces = keys.map((_, index) => `key${index}`);
  for (const [index, namespace] of namespaces.entries()) {
    await app.register(fastifyJwt, {
      secret: keys[index] ?? '',
      namespace,
      sign: { algorithm: 'HS256' },
      verify: { algorithms: ['HS256'], ignoreExpiration: true, ignoreNotBefore: true },
    });
  }
  const byNamespace = app.jwt as unknown as Record<string, JWT>;
  const signers = namespaces.map((namespace) => byNamespace[namespace] as JWT);
  const verified = createLruCache<unknown>(REMEMBERED_TOKENS);
  const check = (token: string): unknown => {
    const failures: unknown[] = [];
    for (const signer of signers) {
      try {
        return signer.verify(token);
      } catch (error) {
        failures.push(error);
      }
    }
    throw failures[0];
  };
  return {
    verify: (token) =>
      token.length > REMEMBERED_LENGTH ? check(token) : verified.getOrMake(token, () => check(token)),
    sign: (claims) => (signers[0] as JWT).sign(claims),
  };
}

import type { FastifyReply } from 'fastify';
import { clip } from '../../clip.ts';
import { invalidField } from '../../errors.ts';

/** The query of a request, in which a name may come several times. */
export type ListQuery = Readonly<Record<string, string | string[] | undefined>>;

/** The value of a parameter. @throws ServiceError `invalid_argument` when it was given twice. */
export function single(query: ListQuery, name: string): string | undefined {
  const value = query[name];
  if (Array.isArray(value)) throw invalidField(name, 'must be given once.');
  return value;
}

/** The `limit`; NaN for what is no number, which the list refuses in its own words. */
export function limitOf(query: ListQuery): number | undefined {
  const text = single(query, 'limit');
  if (text === undefined) return undefined;
  return /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
}

/** The value of a parameter that is one of a closed list. @throws ServiceError `invalid_argument` for any other. */
export function choiceOf<T extends string>(
  query: ListQuery,
  name: string,
  choices: readonly T[],
): T | undefined {
  const text = single(query, name);
  if (text === undefined) return undefined;
  const choice = choices.find((known) => known === text);
  if (choice === undefined) throw invalidField(name, `"${clip(text)}" is not a valid choice.`);
  return choice;
}

/** Says where the next page is (RFC 8288), if there is one: the same query with its cursor. */
export function linkNextPage(
  reply: FastifyReply,
  path: string,
  query: ListQuery,
  nextCursor: string | undefined,
): void {
  if (nextCursor === undefined) return;
  const next = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (typeof value === 'string') next.set(key, value);
  next.set('cursor', nextCursor);
  reply.header('Link', `<${path}?${next}>; rel="next"`);
}

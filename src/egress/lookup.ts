import { lookup } from 'node:dns/promises';
import { EgressError } from './egress-error.ts';

/** All addresses of a host name. */
export type Resolve = (hostname: string) => Promise<string[]>;

/** The system's own resolution (hosts file included), in the order it gives. */
export async function systemResolve(hostname: string): Promise<string[]> {
  const answers = await lookup(hostname, { all: true, order: 'verbatim' });
  return answers.map(({ address }) => address);
}

/**
 * Bounds a resolver in time, and lets those who ask for a name at the same moment share one answer: a burst of new
 * connections must not queue for the few threads that resolve names. No answer outlives the moment.
 *
 * The result rejects with an `unresolvable` EgressError.
 */
export function shareLookups(resolve: Resolve, timeoutMs: number): Resolve {
  const pending = new Map<string, Promise<string[]>>();
  return (hostname) => {
    const shared =
      pending.get(hostname) ?? ask(resolve, hostname, timeoutMs).finally(() => pending.delete(hostname));
    pending.set(hostname, shared);
    return shared;
  };
}

async function ask(resolve: Resolve, hostname: string, timeoutMs: number): Promise<string[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(unresolvable('could not be resolved in time')), timeoutMs);
  });
  try {
    const addresses = await Promise.race([resolve(hostname), late]);
    if (addresses.length === 0) throw unresolvable('has no address');
    return addresses;
  } catch (cause) {
    throw cause instanceof EgressError ? cause : unresolvable('could not be resolved', cause);
  } finally {
    clearTimeout(timer);
  }
}

function unresolvable(words: string, cause?: unknown): EgressError {
  return new EgressError('unresolvable', `The upstream's host name ${words}`, { cause });
}

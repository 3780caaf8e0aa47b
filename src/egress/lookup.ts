import { lookup, Resolver } from 'node:dns/promises';
import { EgressError } from './egress-error.ts';

/** All addresses of a host name. */
export type Resolve = (hostname: string) => Promise<string[]>;

/**
 * Asks the name servers of the system. Not by its own resolution, which keeps one of a few threads for each name: some
 * names whose servers are silent would then stop everybody else's calls, and the end of the process.
 *
 * @param privateNames whether names that no name server knows are looked up by the system too, hosts file included: for
 * installations that have opened private addresses.
 */
export function createSystemResolve(privateNames: boolean): { resolve: Resolve; cancel(): void } {
  const resolver = new Resolver({ timeout: 2000, tries: 2 });
  return {
    async resolve(hostname) {
      const [v4, v6] = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
      const addresses = [v4, v6].flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
      if (addresses.length > 0) return addresses;
      const failure = v4.status === 'rejected' ? v4.reason : undefined;
      if (!privateNames || isTimeout(failure)) throw failure;
      const answers = await lookup(hostname, { all: true, order: 'verbatim' });
      return answers.map(({ address }) => address);
    },
    cancel: () => resolver.cancel(),
  };
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ETIMEOUT';
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

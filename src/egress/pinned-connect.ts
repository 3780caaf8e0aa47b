import { isIP, type Socket } from 'node:net';
import { buildConnector, errors } from 'undici';
import {
  type EgressAllow,
  effectivePort,
  forbiddenAddress,
  isAllowedEndpoint,
  refusedAddress,
} from './address-policy.ts';
import { connectError, EgressError } from './egress-error.ts';
import { type Resolve, shareLookups } from './lookup.ts';

/** How long an address may keep the next one waiting. */
const FALLBACK_AFTER_MS = 1000;
const MAX_ATTEMPTS = 4;

export type Connect = buildConnector.connector;

export interface PinnedConnectOptions {
  allow: EgressAllow;
  resolve: Resolve;
  /** Bounds the resolution, and then the last attempt to connect; each attempt before it gets a second at most. */
  timeoutMs: number;
  onDial: (address: string, port: number) => void;
  /** Makes the connection to the address that it is given as `hostname`. For tests. */
  connect?: Connect;
}

/**
 * undici's connector, but for one thing: a host is resolved here, all of its addresses are checked, and exactly a checked
 * address is dialled. So a name cannot answer the check with one address and the connection with another. One forbidden
 * address among many refuses the host, but for a host in a range that the operator has opened: of that one, the
 * forbidden addresses are left out. The TLS name stays the host's.
 */
export function createPinnedConnect(options: PinnedConnectOptions): Connect {
  const { allow, timeoutMs, onDial } = options;
  const lookup = shareLookups(options.resolve, timeoutMs);
  // Said aloud, so that NODE_TLS_REJECT_UNAUTHORIZED=0 does not turn the check of certificates off.
  const connect = options.connect ?? buildConnector({ rejectUnauthorized: true, timeout: timeoutMs });

  async function checkedAddresses(hostname: string, port: number): Promise<string[]> {
    const addresses = isIP(hostname) === 0 ? await lookup(hostname) : [hostname];
    const isOpen = isAllowedEndpoint(hostname, port, allow);
    const isChecked = (address: string) =>
      isIP(address) !== 0 && (isOpen || refusedAddress(address, allow) === undefined);
    const isOpened = (address: string) => isChecked(address) && forbiddenAddress(address) !== undefined;
    const checked = addresses.filter(isChecked);
    if (checked.length === addresses.length || checked.some(isOpened)) {
      return alternateFamilies(checked).slice(0, MAX_ATTEMPTS);
    }
    throw new EgressError('forbidden', 'The URL leads to an address that is not public');
  }

  async function dial(target: buildConnector.Options): Promise<Socket> {
    const port = effectivePort(target.protocol, target.port);
    const addresses = await checkedAddresses(target.hostname, port);
    // No dot at the end of a TLS name (RFC 6066); none at all for an address.
    const tlsName = isIP(target.hostname) === 0 ? { servername: target.hostname.replace(/\.$/, '') } : {};
    let failure: unknown;
    for (const [index, address] of addresses.entries()) {
      const isLast = index === addresses.length - 1;
      const limitMs = isLast ? timeoutMs : Math.min(timeoutMs, FALLBACK_AFTER_MS);
      onDial(address, port);
      try {
        return await connectWithin(connect, { ...target, ...tlsName, hostname: address }, limitMs);
      } catch (error) {
        failure = error;
      }
    }
    throw connectError(failure);
  }

  return (target, callback) => {
    dial(target).then(
      (socket) => callback(null, socket),
      (error: Error) => callback(error, null),
    );
  };
}

/** Bounds an attempt in time, as undici's own timer is off by up to a second; a connection that comes too late is closed. */
function connectWithin(connect: Connect, target: buildConnector.Options, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      reject(new errors.ConnectTimeoutError(`no connection within ${timeoutMs} ms`));
    }, timeoutMs);
    connect(target, (error, socket) => {
      clearTimeout(timer);
      if (error !== null) reject(error);
      else if (isLate) socket.destroy();
      else resolve(socket);
    });
  });
}

/** The two families in turn, beginning with the resolver's first: a family without a route costs one attempt. */
function alternateFamilies(addresses: string[]): string[] {
  const [first = ''] = addresses;
  const preferred = addresses.filter((address) => isIP(address) === isIP(first));
  const others = addresses.filter((address) => isIP(address) !== isIP(first));
  return Array.from({ length: addresses.length }, (_, index) => [preferred[index], others[index]])
    .flat()
    .filter((address) => address !== undefined);
}

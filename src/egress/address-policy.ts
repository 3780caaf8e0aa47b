import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { GLOBAL_UNICAST_IPV6, PRIVATE_NAMES, SPECIAL_RANGES } from './special-ranges.ts';

type AddressRange = ReturnType<typeof ipaddr.parseCIDR>;

/**
 * An exception that the operator makes: a range of addresses, or one host and port. A range opens whatever host resolves
 * to an address in it. A host and port is open whatever the host resolves to.
 */
export type AllowEntry =
  | { readonly kind: 'range'; readonly range: AddressRange }
  | { readonly kind: 'endpoint'; readonly host: string; readonly port: number };

export type EgressAllow = readonly AllowEntry[];

const specialRanges = SPECIAL_RANGES.map(([cidr, name]) => ({ range: ipaddr.parseCIDR(cidr), name }));
const globalUnicastIpv6 = ipaddr.parseCIDR(GLOBAL_UNICAST_IPV6);

/**
 * Reads a comma-separated list of CIDR ranges, single addresses and `host:port` (`[v6]:port`). Empty text allows nothing.
 *
 * @throws Error that names the first entry that is none of these.
 */
export function parseEgressAllow(text: string): EgressAllow {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map(parseEntry);
}

/** Why an address may not be reached (its range's name), or undefined when it is public. Knows nothing of exceptions. */
export function forbiddenAddress(address: string): string | undefined {
  if (isIP(address) === 0) return 'not an IP address';
  if (address.includes('%')) return 'address with a zone';
  const special = specialRanges.find(({ range }) => isInRange(address, range));
  if (special !== undefined) return special.name;
  return isIP(address) === 4 || isInRange(address, globalUnicastIpv6) ? undefined : 'not global unicast';
}

/** As `forbiddenAddress`, with the operator's ranges excepted. */
export function refusedAddress(address: string, allow: EgressAllow): string | undefined {
  const reason = forbiddenAddress(address);
  if (reason === undefined || isIP(address) === 0) return reason;
  return allow.some((entry) => entry.kind === 'range' && isInRange(address, entry.range))
    ? undefined
    : reason;
}

/** Whether the operator has opened this very host (a name or an address, without brackets) and port. */
export function isAllowedEndpoint(host: string, port: number, allow: EgressAllow): boolean {
  const plain = plainHost(host);
  return allow.some((entry) => entry.kind === 'endpoint' && entry.host === plain && entry.port === port);
}

/** The port that a URL, or undici for it, names: empty text is the scheme's own. */
export function effectivePort(protocol: string, port: string): number {
  if (port !== '') return Number(port);
  return protocol === 'https:' ? 443 : 80;
}

/**
 * What can be said against a URL without resolving its host: words to follow "The URL" or the field's name, or undefined.
 * They never hold a part of the URL. Every port of a public host may be reached.
 */
export function checkUrl(url: URL | string, allow: EgressAllow): string | undefined {
  if (typeof url === 'string' && !URL.canParse(url)) return 'must be a valid absolute URL';
  // The parser has already brought every notation of an address (octal, hex, one number, full-width digits) to one form.
  const { protocol, username, password, hostname, port } = typeof url === 'string' ? new URL(url) : url;
  if (protocol !== 'http:' && protocol !== 'https:') return 'must use http or https';
  if (username !== '' || password !== '') return 'must not hold a user name or a password';
  const host = plainHost(hostname);
  if (isAllowedEndpoint(host, effectivePort(protocol, port), allow)) return undefined;
  if (isIP(host) === 0) {
    // Where the operator has opened ranges, a private name may lead into one: its addresses decide, when it is called.
    const isHopeless = isPrivateName(host) && !allow.some(({ kind }) => kind === 'range');
    return isHopeless ? 'must not name a host of a private network' : undefined;
  }
  const reason = refusedAddress(host, allow);
  return reason === undefined ? undefined : `must not lead to an address that is not public (${reason})`;
}

function isPrivateName(host: string): boolean {
  return !host.includes('.') || PRIVATE_NAMES.some((name) => host === name || host.endsWith(`.${name}`));
}

/** A host as `isIP` and comparison want it: no brackets, no trailing dot. */
function plainHost(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.+$/, '');
}

function isInRange(address: string, range: AddressRange): boolean {
  const parsed = ipaddr.parse(address);
  return parsed.kind() === range[0].kind() && parsed.match(range);
}

function parseEntry(entry: string): AllowEntry {
  const [address = ''] = entry.split('/');
  const family = entry.includes('%') ? 0 : isIP(address);
  if (family !== 0) {
    const cidr = entry === address ? `${address}/${family === 4 ? 32 : 128}` : entry;
    if (ipaddr.isValidCIDR(cidr)) return { kind: 'range', range: ipaddr.parseCIDR(cidr) };
  }
  const [, host, port] = /^(\[[^\]]+\]|[^:/?#@\\\s]+):(\d{1,5})$/.exec(entry) ?? [];
  if (host !== undefined && URL.canParse(`http://${host}:${port}`) && Number(port) > 0) {
    return { kind: 'endpoint', host: plainHost(new URL(`http://${host}`).hostname), port: Number(port) };
  }
  throw new Error(`"${entry}" is neither an address, nor a CIDR range, nor host:port`);
}

/**
 * The address ranges that are not the public internet: IANA's special-purpose registries as of 2025, and a few refusals
 * by choice. The name is the registry's.
 *
 * IANA calls some assignments inside 192.0.0.0/24 and 2001::/23 globally reachable (anycast of PCP and TURN, AMT, AS112,
 * ORCHIDv2, DETs). None of them is a place where a service for the public lives, so both blocks are refused whole.
 */
export const SPECIAL_RANGES: readonly (readonly [cidr: string, name: string])[] = [
  // https://www.iana.org/assignments/iana-ipv4-special-registry
  ['0.0.0.0/8', 'This network'],
  ['10.0.0.0/8', 'Private-Use'],
  ['100.64.0.0/10', 'Shared Address Space'],
  ['127.0.0.0/8', 'Loopback'],
  ['169.254.0.0/16', 'Link Local'],
  ['172.16.0.0/12', 'Private-Use'],
  ['192.0.0.0/24', 'IETF Protocol Assignments'],
  ['192.0.2.0/24', 'Documentation (TEST-NET-1)'],
  ['192.31.196.0/24', 'AS112-v4'],
  ['192.52.193.0/24', 'AMT'],
  ['192.88.99.0/24', 'Deprecated (6to4 Relay Anycast)'],
  ['192.168.0.0/16', 'Private-Use'],
  ['192.175.48.0/24', 'Direct Delegation AS112 Service'],
  ['198.18.0.0/15', 'Benchmarking'],
  ['198.51.100.0/24', 'Documentation (TEST-NET-2)'],
  ['203.0.113.0/24', 'Documentation (TEST-NET-3)'],
  ['224.0.0.0/4', 'Multicast'],
  ['255.255.255.255/32', 'Limited Broadcast'],
  ['240.0.0.0/4', 'Reserved'],
  // In no registry: Azure serves its virtual machines' agents there.
  ['168.63.129.16/32', 'Cloud platform service'],

  // https://www.iana.org/assignments/iana-ipv6-special-registry
  ['::1/128', 'Loopback Address'],
  ['::/128', 'Unspecified Address'],
  ['::ffff:0:0/96', 'IPv4-mapped Address'],
  ['64:ff9b::/96', 'IPv4-IPv6 Translat.'],
  ['64:ff9b:1::/48', 'IPv4-IPv6 Translat.'],
  ['100::/64', 'Discard-Only Address Block'],
  ['100:0:0:1::/64', 'Dummy IPv6 Prefix'],
  ['2001::/32', 'TEREDO'],
  ['2001:3::/32', 'AMT'],
  ['2001::/23', 'IETF Protocol Assignments'],
  ['2001:db8::/32', 'Documentation'],
  ['2002::/16', '6to4'],
  ['2620:4f:8000::/48', 'Direct Delegation AS112 Service'],
  ['3fff::/20', 'Documentation'],
  ['5f00::/16', 'Segment Routing (SRv6) SIDs'],
  ['fc00::/7', 'Unique-Local'],
  ['fe80::/10', 'Link-Local Unicast'],
  ['ff00::/8', 'Multicast'],
];

/** All that IANA has handed out for the public internet; what lies outside of it is refused without a name of its own. */
export const GLOBAL_UNICAST_IPV6 = '2000::/3';

/**
 * Names that lead nowhere public, with everything below them: RFC 6761 and 6762 (with its appendix G), RFC 8375, ICANN's
 * `internal`, Kubernetes' services and Google's metadata server. Names of one label are refused as well.
 */
export const PRIVATE_NAMES: readonly string[] = [
  'localhost',
  'localdomain',
  'local',
  'internal',
  'intranet',
  'private',
  'corp',
  'home',
  'lan',
  'home.arpa',
  'svc',
  'metadata.goog',
];

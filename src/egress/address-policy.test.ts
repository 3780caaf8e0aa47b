import { describe, expect, it } from 'vitest';
import { checkUrl, forbiddenAddress, parseEgressAllow } from './address-policy.ts';
import { readRows } from './test-support.ts';

const denyRows = readRows<{ id: string; url: string }>('ssrf-deny.jsonl');
const allowRows = readRows<{ id: string; url: string }>('ssrf-allow.jsonl');

describe('forbiddenAddress', () => {
  it.each([
    ['127.0.0.1', 'Loopback'],
    ['127.255.255.255', 'Loopback'],
    ['172.31.255.255', 'Private-Use'],
    ['100.64.0.1', 'Shared Address Space'],
    ['169.254.169.254', 'Link Local'],
    ['192.88.99.1', 'Deprecated (6to4 Relay Anycast)'],
    ['255.255.255.255', 'Limited Broadcast'],
    ['250.0.0.1', 'Reserved'],
    ['168.63.129.16', 'Cloud platform service'],
    ['::1', 'Loopback Address'],
    ['::ffff:8.8.8.8', 'IPv4-mapped Address'],
    ['64:ff9b::808:808', 'IPv4-IPv6 Translat.'],
    ['2001:0:7f00:1::', 'TEREDO'],
    ['2001:1ff:ffff::1', 'IETF Protocol Assignments'],
    ['2002:808:808::', '6to4'],
    ['3fff:fff::1', 'Documentation'],
    ['2620:4f:8000::1', 'Direct Delegation AS112 Service'],
    ['fd00:ec2::254', 'Unique-Local'],
    ['::ffff:0:808:808', 'not global unicast'],
    ['4000::1', 'not global unicast'],
    ['2600::1%eth0', 'address with a zone'],
    ['127.1', 'not an IP address'],
    ['localhost', 'not an IP address'],
  ])('refuses %s: %s', (address, reason) => {
    expect(forbiddenAddress(address)).toBe(reason);
  });

  it.each([
    '8.8.8.8',
    '100.128.0.0',
    '172.32.0.0',
    '192.0.1.0',
    '223.255.255.255',
    '2001:200::1',
    '2600::1',
    '3ffe::1',
  ])('lets %s pass', (address) => {
    expect(forbiddenAddress(address)).toBeUndefined();
  });
});

describe('checkUrl', () => {
  it.each([
    ['', 'must be a valid absolute URL'],
    ['http://[fe80::1%25eth0]/', 'must be a valid absolute URL'],
    ['file:///etc/passwd', 'must use http or https'],
    ['gopher://8.8.8.8/', 'must use http or https'],
    ['https://key:secret@example.com/', 'must not hold a user name or a password'],
    ['http://127.1', 'must not lead to an address that is not public (Loopback)'],
    ['http://0x7f.1./', 'must not lead to an address that is not public (Loopback)'],
    ['http://2130706433:8080/?key=secret', 'must not lead to an address that is not public (Loopback)'],
    ['http://[::]/', 'must not lead to an address that is not public (Unspecified Address)'],
    ['http://localhost./', 'must not name a host of a private network'],
    ['http://LOCALHOST/', 'must not name a host of a private network'],
    ['http://a.localhost/', 'must not name a host of a private network'],
    ['http://metadata.google.internal/', 'must not name a host of a private network'],
    ['http://printer.local/', 'must not name a host of a private network'],
    ['http://tools.default.svc/', 'must not name a host of a private network'],
    ['http://intranet/', 'must not name a host of a private network'],
  ])('refuses %s', (url, words) => {
    expect(checkUrl(url, [])).toBe(words);
  });

  it('lets public hosts pass, whatever the port, the path or the labels look like', () => {
    expect(checkUrl('http://8.8.8.8:22/', [])).toBeUndefined();
    expect(checkUrl('https://localhost.example.com./', [])).toBeUndefined();
    expect(checkUrl('https://example.com/?next=http://127.0.0.1/', [])).toBeUndefined();
    expect(checkUrl('https://[2600::1]:8443/', [])).toBeUndefined();
  });

  it.skipIf(denyRows.length === 0)('refuses every URL of ssrf-deny.jsonl', () => {
    expect(denyRows.filter(({ url }) => checkUrl(url, []) === undefined)).toEqual([]);
  });

  it.skipIf(allowRows.length === 0)('lets every URL of ssrf-allow.jsonl pass', () => {
    expect(allowRows.filter(({ url }) => checkUrl(url, []) !== undefined)).toEqual([]);
  });
});

describe('parseEgressAllow', () => {
  it('reads ranges, addresses and endpoints', () => {
    expect(parseEgressAllow('')).toEqual([]);
    expect(parseEgressAllow(' 10.0.0.0/8, ::1 ,tools.internal:8080,[::1]:9000,').length).toBe(4);
  });

  it.each([
    '10.0.0.0/33',
    '010.0.0.0/8',
    '10.0.0/8',
    'fe80::1%eth0',
    'tools.internal',
    'tools.internal:0',
    'tools.internal:65536',
    'http://tools.internal:80',
    'user@tools.internal:80',
    '[::g]:80',
    '*',
  ])('refuses %s, naming it', (entry) => {
    expect(() => parseEgressAllow(`127.0.0.1,${entry}`)).toThrow(`"${entry}" is neither`);
  });

  it('opens a range for addresses, on any port, and not for other notations of them in IPv6', () => {
    const allow = parseEgressAllow('127.0.0.0/8,fd00::/8,192.168.1.1');
    expect(checkUrl('http://127.1:8080/', allow)).toBeUndefined();
    expect(checkUrl('http://[fd00::1]/', allow)).toBeUndefined();
    expect(checkUrl('http://192.168.1.1/', allow)).toBeUndefined();
    expect(checkUrl('http://192.168.1.2/', allow)).toContain('Private-Use');
    expect(checkUrl('http://[::ffff:127.0.0.1]/', allow)).toContain('IPv4-mapped');
    expect(checkUrl('http://localhost/', parseEgressAllow(''))).toContain('private network');
    expect(checkUrl('ftp://127.0.0.1/', allow)).toContain('http or https');
  });

  it('opens host:port for this host at this port alone', () => {
    const allow = parseEgressAllow('Tools.Internal:8080,127.0.0.1:80,[::1]:443');
    expect(checkUrl('http://tools.internal:8080/', allow)).toBeUndefined();
    expect(checkUrl('http://tools.internal.:8080/', allow)).toBeUndefined();
    expect(checkUrl('http://tools.internal/', allow)).toContain('private network');
    expect(checkUrl('http://tools.internal:8081/', allow)).toContain('private network');
    expect(checkUrl('http://127.1/', allow)).toBeUndefined();
    expect(checkUrl('https://127.0.0.1/', allow)).toContain('Loopback');
    expect(checkUrl('https://[0::1]/', allow)).toBeUndefined();
    expect(checkUrl('http://user@127.0.0.1/', allow)).toContain('user name');
  });
});

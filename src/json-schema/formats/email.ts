import { isHostname, isInternationalHostname } from './hostname.ts';
import { isIpv4, isIpv6 } from './ip-address.ts';

const LONGEST_LOCAL_PART = 64;
const LONGEST_ADDRESS = 320;

/** `Mailbox` of RFC 5321, section 4.1.2. */
export function isEmail(text: string): boolean {
  return isMailbox(text, /^[\w!#$%&'*+/=?^`{|}~-]+$/, /^[ -~]*$/, isHostname);
}

/** `Mailbox` of RFC 6531, section 3.3: as `isEmail`, with characters beyond ASCII. */
export function isInternationalEmail(text: string): boolean {
  return isMailbox(
    text,
    /^[\w!#$%&'*+/=?^`{|}~\u0080-\u{10ffff}-]+$/u,
    /^[ -~\u0080-\u{10ffff}]*$/u,
    isInternationalHostname,
  );
}

function isMailbox(text: string, atom: RegExp, quoted: RegExp, isDomain: (text: string) => boolean): boolean {
  if (text.length > LONGEST_ADDRESS) return false;
  const at = text.lastIndexOf('@');
  const local = text.slice(0, Math.max(at, 0));
  const domain = text.slice(at + 1);
  if (local === '' || local.length > LONGEST_LOCAL_PART) return false;
  const isLocal = isQuoted(local) ? quoted.test(local) : local.split('.').every((part) => atom.test(part));
  return isLocal && (domain.startsWith('[') ? isAddressLiteral(domain) : isDomain(domain));
}

function isQuoted(local: string): boolean {
  return /^"(?:[^"\\]|\\.)*"$/su.test(local);
}

/** `[127.0.0.1]` or `[IPv6:::1]`, RFC 5321, section 4.1.3. */
function isAddressLiteral(domain: string): boolean {
  if (!domain.endsWith(']')) return false;
  const address = domain.slice(1, -1);
  return /^IPv6:/i.test(address) ? isIpv6(address.slice(5)) : isIpv4(address);
}

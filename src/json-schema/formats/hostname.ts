import { domainToASCII, domainToUnicode } from 'node:url';

const LONGEST_NAME = 253;
const LONGEST_LABEL = 63;

/** RFC 1123, section 2.1. Labels that claim to be internationalized must be so (RFC 5890). */
export function isHostname(text: string): boolean {
  if (text.length > LONGEST_NAME) return false;
  return text.split('.').every((label) => isLabel(label) && (!isReserved(label) || isPunycode(label)));
}

/**
 * RFC 5890, as far as it can be told without tables of our own: the rules for single characters of RFC 5892, and for
 * the rest what browsers accept (UTS #46). Labels that mix directions of writing are accepted.
 */
export function isInternationalHostname(text: string): boolean {
  if (text.length > LONGEST_NAME || !/^[^\s/?#@:%\\[\]<>^|]+$/u.test(text)) return false;
  const labels = text.split(/[.。．｡]/);
  if (!labels.every((label) => (isReserved(label) ? isPunycode(label) : isUnicodeLabel(label)))) return false;
  const ascii = domainToASCII(labels.join('.'));
  return ascii !== '' && ascii.length <= LONGEST_NAME && ascii.split('.').every(isLabel);
}

function isLabel(label: string): boolean {
  return label.length <= LONGEST_LABEL && /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i.test(label);
}

/** Hyphens in the third and fourth place are for `xn--` (RFC 5891, section 4.2.3.1). */
function isReserved(label: string): boolean {
  return /^..--/u.test(label);
}

function isPunycode(label: string): boolean {
  return /^xn--./i.test(label) && isUnicodeLabel(domainToUnicode(label));
}

/** RFC 5891, section 4.2.3, and the exceptions and contextual rules of RFC 5892, section 2.6 and appendix A. */
function isUnicodeLabel(label: string): boolean {
  if (label === '' || isReserved(label) || /^[\p{M}-]|-$/u.test(label)) return false;
  if (/[\u0640\u07fa\u302e\u302f\u3031-\u3035\u303b]/.test(label)) return false;
  const isMisplaced = /(?<!l)\u00b7|\u00b7(?!l)|\u0375(?!\p{sc=Grek})|(?<!\p{sc=Hebr})[\u05f3\u05f4]/u.test(
    label,
  );
  return !isMisplaced && (!label.includes('\u30fb') || /[\p{sc=Hira}\p{sc=Kana}\p{sc=Hani}]/u.test(label));
}

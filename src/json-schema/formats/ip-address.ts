/** `dotted-quad` of RFC 2673, section 3.2: four decimal numbers without leading zeros. */
export function isIpv4(text: string): boolean {
  if (text.length > 15) return false;
  const parts = text.split('.');
  return (
    parts.length === 4 && parts.every((part) => /^(?:0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255)
  );
}

/** RFC 4291, section 2.2, without a zone. */
export function isIpv6(text: string): boolean {
  if (text.length > 45) return false;
  const halves = text.split('::');
  if (halves.length > 2) return false;
  const [left = 0, right = 0] = halves.map((half, index) => groupsIn(half, index === halves.length - 1));
  return halves.length === 1 ? left === 8 : left + right < 8;
}

/** How many groups of 16 bits are written; NaN if it is not groups. An IPv4 address may stand for the last two. */
function groupsIn(text: string, isLast: boolean): number {
  if (text === '') return 0;
  const parts = text.split(':');
  const last = parts.at(-1) ?? '';
  const hasIpv4 = isLast && last.includes('.');
  if (hasIpv4) parts.pop();
  if ((hasIpv4 && !isIpv4(last)) || !parts.every((part) => /^[0-9a-f]{1,4}$/i.test(part))) return Number.NaN;
  return parts.length + (hasIpv4 ? 2 : 0);
}

/** So much of a text is looked for first. */
const PROBE_LENGTH = 64;

/** The beginning of a text: where it is not, the text is not. */
export function probeOf(wanted: string): string {
  return wanted.slice(0, PROBE_LENGTH);
}

/**
 * Where a text occurs, those that overlap or touch as one, by the method of Knuth, Morris and Pratt, which goes back over
 * nothing: `indexOf` may take as long as the product of both lengths, so it is asked for beginning and end alone.
 *
 * @param units of `text`.
 */
export function occurrences(units: Uint16Array, text: string, wanted: string): [from: number, to: number][] {
  const probe = probeOf(wanted);
  const found: [from: number, to: number][] = [];
  let at = text.indexOf(probe);
  if (at === -1 || !text.includes(wanted.slice(-PROBE_LENGTH))) return found;
  const pattern = Uint16Array.from(wanted.split(''), (unit) => unit.charCodeAt(0));
  const fallbacks = fallbacksOf(pattern);
  let matched = 0;
  let last: [from: number, to: number] | undefined;
  for (; at < units.length; at++) {
    if (matched === 0) {
      at = text.indexOf(probe, at);
      if (at === -1) break;
    }
    const unit = units[at];
    while (matched > 0 && pattern[matched] !== unit) matched = fallbacks[matched - 1] ?? 0;
    if (pattern[matched] === unit) matched++;
    if (matched < pattern.length) continue;
    const from = at + 1 - matched;
    if (last && from <= last[1]) last[1] = at + 1;
    else {
      last = [from, at + 1];
      found.push(last);
    }
    matched = fallbacks[matched - 1] ?? 0;
  }
  return found;
}

/** For each beginning of a pattern, the length of the longest shorter beginning that it ends with. */
function fallbacksOf(pattern: Uint16Array): Uint32Array {
  const fallbacks = new Uint32Array(pattern.length);
  let matched = 0;
  for (let at = 1; at < pattern.length; at++) {
    const unit = pattern[at];
    while (matched > 0 && pattern[matched] !== unit) matched = fallbacks[matched - 1] ?? 0;
    if (pattern[matched] === unit) matched++;
    fallbacks[at] = matched;
  }
  return fallbacks;
}

import type { JsonValue } from '../json.ts';

/**
 * The JSON pointer (RFC 6901) of a number that JSON cannot carry (NaN, Infinity); undefined when there is none. Such
 * numbers reach us in a google.protobuf.Struct, whose numbers are doubles.
 */
export function findNonFinite(value: JsonValue): string | undefined {
  const waiting: { value: JsonValue; pointer: string }[] = [{ value, pointer: '' }];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { pointer } = next;
    if (typeof next.value === 'number' && !Number.isFinite(next.value)) return pointer;
    if (typeof next.value !== 'object' || next.value === null) continue;
    for (const [key, child] of Object.entries(next.value)) {
      waiting.push({
        value: child,
        pointer: `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`,
      });
    }
  }
  return undefined;
}

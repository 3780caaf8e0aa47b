import type { JsonObject, JsonValue } from '../json.ts';

/**
 * Nesting of a definition, counted in objects and lists. One level of JSON is three of google.protobuf.Struct, of which
 * protobuf's readers in other languages take no more than 100.
 */
const MAX_DEPTH = 30;

/** JSON values in a definition, objects and lists included. */
const MAX_VALUES = 20_000;

const TOO_MANY = `Definition must not hold more than ${MAX_VALUES} values.`;
const UNFIT_TEXT = 'Definition must not contain NUL characters or lone surrogates.';

/** Finds text that cannot be stored or shown everywhere, and nesting that other readers of JSON would refuse. */
export function findUnfit(definition: JsonObject): string | undefined {
  const waiting: { value: JsonValue; depth: number }[] = [{ value: definition, depth: 1 }];
  let values = 0;
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { value, depth } = next;
    if (++values > MAX_VALUES) return TOO_MANY;
    if (typeof value === 'string') {
      if (!isFitText(value)) return UNFIT_TEXT;
    } else if (typeof value === 'number') {
      // Written as 1e999, say: it would be stored as null.
      if (!Number.isFinite(value)) return 'Definition must not contain numbers beyond the range of a double.';
    } else if (typeof value === 'object' && value !== null) {
      if (depth > MAX_DEPTH) return `Definition must not be nested more than ${MAX_DEPTH} levels deep.`;
      const isList = Array.isArray(value);
      if (isList && value.length > MAX_VALUES) return TOO_MANY;
      if (!isList && !Object.keys(value).every(isFitText)) return UNFIT_TEXT;
      for (const child of isList ? value : Object.values(value))
        waiting.push({ value: child, depth: depth + 1 });
    }
  }
  return undefined;
}

/** Whether text has neither NUL characters nor lone surrogates: PostgreSQL and UTF-8 cannot carry them. */
export function isFitText(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

const SPELLING = /^(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32})$/i;
const CANONICAL = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * The canonical spelling (RFC 9562, section 4: lower case, hyphens) of a UUID written in any case, with or without
 * hyphens, in braces or as `urn:uuid:`. Undefined for anything else, values that are no strings included.
 */
export function parseUuid(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  if (value.length === 36 && CANONICAL.test(value)) return value;
  const bare = /^urn:uuid:/i.test(value) ? value.slice(9) : value;
  const inner = bare.startsWith('{') && bare.endsWith('}') ? bare.slice(1, -1) : bare;
  return canonical(inner);
}

/** As `parseUuid`, for an id in a path, where neither braces nor `urn:uuid:` count. */
export function parsePathUuid(value: string): string | undefined {
  return canonical(value);
}

function canonical(value: string): string | undefined {
  if (!SPELLING.test(value)) return undefined;
  const hex = value.replaceAll('-', '').toLowerCase();
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

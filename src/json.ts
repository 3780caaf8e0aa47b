/** A value that JSON text can carry. */
export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;

/** Keys may come from strangers: read them with `getOwn`, never through the prototype. */
export type JsonObject = { [key: string]: JsonValue };

/** Whether a JSON value is an object (and neither null nor a list). */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A key's own value, so that `constructor` or `__proto__` in a stranger's JSON finds nothing of ours. */
export function getOwn<T>(object: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** What JSON calls the value's type: `null`, `array`, `object`, `string`, `number` or `boolean`. */
export function jsonTypeOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

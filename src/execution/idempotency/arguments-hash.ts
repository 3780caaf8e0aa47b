import { hash } from 'node:crypto';
import type { JsonObject, JsonValue } from '../../json.ts';

/**
 * Names the arguments of a call: SHA-256 of their canonical JSON (keys in order of their UTF-16 code units and numbers
 * as `JSON.stringify` writes them, RFC 8785), in lower-case hex. The same for arguments that differ in the order of keys
 * alone. Takes arguments of any depth: they are hashed before they are checked.
 */
export function hashArguments(input: JsonObject): string {
  return hash('sha256', canonicalJson(input));
}

/** An object or a list that is being written; `keys` is undefined for a list. */
interface Level {
  readonly keys: readonly string[] | undefined;
  readonly values: readonly JsonValue[];
  next: number;
}

/** Written with a stack of our own, which a stranger's nesting cannot use up. */
function canonicalJson(input: JsonObject): string {
  let text = '{';
  const levels = [open(input)];
  for (let level = levels.at(-1); level; level = levels.at(-1)) {
    const { keys, values } = level;
    const index = level.next++;
    if (index === values.length) {
      text += keys ? '}' : ']';
      levels.pop();
      continue;
    }
    if (index > 0) text += ',';
    if (keys) text += `${JSON.stringify(keys[index])}:`;
    const value = values[index];
    if (typeof value === 'object' && value !== null) {
      text += Array.isArray(value) ? '[' : '{';
      levels.push(open(value));
    } else {
      text += JSON.stringify(value);
    }
  }
  return text;
}

function open(value: JsonObject | JsonValue[]): Level {
  if (Array.isArray(value)) return { keys: undefined, values: value, next: 0 };
  const keys = Object.keys(value).sort();
  return { keys, values: keys.map((key) => value[key] as JsonValue), next: 0 };
}

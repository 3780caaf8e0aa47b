import { clip } from '../clip.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { type CompiledSchema, describeFault } from '../json-schema/compile-schema.ts';
import { escapeToken } from '../json-schema/json-pointer.ts';
import { CallError } from './call.ts';

/** Nesting of arguments, counted in objects and lists. */
const MAX_DEPTH = 64;

/** JSON values in arguments: members of objects and of lists, however deep. */
const MAX_VALUES = 50_000;

const TOO_MANY_VALUES = `expected no more than ${MAX_VALUES} values`;

/**
 * Checks the arguments of a call, in which there is nothing unfit, against its tool's parameters.
 *
 * @throws CallError `invalid_arguments` whose words name each fault by its place, for a model.
 */
export function checkArguments(schema: CompiledSchema, input: JsonObject): void {
  const faults = schema.validate(input);
  if (faults.length > 0) throw invalidArguments(faults.map(describeFault).join('; '));
}

/** @param words what the arguments must be, without the full stop. */
export function invalidArguments(words: string): CallError {
  const message = `Invalid arguments. ${words}. Correct them and call again.`;
  return new CallError('invalid_arguments', message, { mayHaveRun: false });
}

/**
 * Finds what nothing shall be done with, whatever the tool: numbers that JSON cannot carry (NaN, Infinity), which reach
 * us in a google.protobuf.Struct, nesting that other readers of JSON would refuse, and more values than can be hashed
 * and checked without holding up other calls. Stops at the first.
 *
 * @returns words for a model, or undefined.
 */
export function findUnfit(input: JsonObject): string | undefined {
  /** The objects and lists that a value is in, by their keys; the first is the input itself. */
  const path: (string | number)[] = [];
  let values = 0;
  return look(input, '');

  function look(value: JsonValue, key: string | number): string | undefined {
    if (typeof value === 'number') return Number.isFinite(value) ? undefined : notFinite(key);
    if (typeof value !== 'object' || value === null) return undefined;
    path.push(key);
    if (path.length > MAX_DEPTH) return `expected no more than ${MAX_DEPTH} levels of nesting`;
    const words = Array.isArray(value) ? lookIntoList(value) : lookIntoObject(value);
    path.pop();
    return words;
  }

  function lookIntoList(list: readonly JsonValue[]): string | undefined {
    values += list.length;
    if (values > MAX_VALUES) return TOO_MANY_VALUES;
    for (let index = 0; index < list.length; index++) {
      const words = look(list[index] ?? null, index);
      if (words !== undefined) return words;
    }
    return undefined;
  }

  function lookIntoObject(object: JsonObject): string | undefined {
    const keys = Object.keys(object);
    values += keys.length;
    if (values > MAX_VALUES) return TOO_MANY_VALUES;
    for (const key of keys) {
      const words = look(object[key] ?? null, key);
      if (words !== undefined) return words;
    }
    return undefined;
  }

  function notFinite(key: string | number): string {
    const pointer = [...path.slice(1), key].map((token) => `/${escapeToken(token)}`).join('');
    return `${clip(pointer, 200)}: expected a finite number`;
  }
}

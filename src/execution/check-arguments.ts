import type { JsonObject, JsonValue } from '../json.ts';
import { type CompiledSchema, describeFault } from '../json-schema/compile-schema.ts';
import { CallError } from './call.ts';

/** Nesting of arguments, counted in objects and lists. */
const MAX_DEPTH = 64;

/**
 * Checks the arguments of a call against its tool's parameters.
 *
 * @throws CallError `invalid_arguments` whose words name each fault by its place, for a model.
 */
export function checkArguments(schema: CompiledSchema, input: JsonObject): void {
  const unfit = findUnfit(input);
  const faults = unfit === undefined ? schema.validate(input).map(describeFault) : [unfit];
  if (faults.length === 0) return;
  throw new CallError(
    'invalid_arguments',
    `Invalid arguments. ${faults.join('; ')}. Correct them and call again.`,
    { mayHaveRun: false },
  );
}

/**
 * Finds what cannot be passed on: numbers that JSON cannot carry (NaN, Infinity), which reach us in a
 * google.protobuf.Struct, and nesting that other readers of JSON would refuse.
 */
function findUnfit(input: JsonObject): string | undefined {
  const waiting: { value: JsonValue; pointer: string; depth: number }[] = [
    { value: input, pointer: '', depth: 1 },
  ];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { value, pointer, depth } = next;
    if (typeof value === 'number' && !Number.isFinite(value)) return `${pointer}: expected a finite number`;
    if (typeof value !== 'object' || value === null) continue;
    if (depth > MAX_DEPTH) return `expected no more than ${MAX_DEPTH} levels of nesting`;
    // Only what can hold a fault waits: a list may have a million plain members.
    if (Array.isArray(value)) {
      for (let index = 0; index < value.length; index++) visit(value[index] ?? null, index, pointer, depth);
    } else {
      for (const key of Object.keys(value)) {
        visit(value[key] ?? null, key.replaceAll('~', '~0').replaceAll('/', '~1'), pointer, depth);
      }
    }
  }
  return undefined;

  function visit(value: JsonValue, key: string | number, pointer: string, depth: number): void {
    const mayFail =
      typeof value === 'number' ? !Number.isFinite(value) : typeof value === 'object' && value !== null;
    if (mayFail) waiting.push({ value, pointer: `${pointer}/${key}`, depth: depth + 1 });
  }
}

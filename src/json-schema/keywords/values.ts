import { ValueSet } from '../canonical-text.ts';
import type { Keywords } from '../compile-context.ts';
import { listOf, stringOf, stringsOf } from '../compile-context.ts';
import type { Check } from '../schema-node.ts';
import { list, show, typeWords } from '../words.ts';

/** `type` (2020-12 Validation, section 6.1.1). */
export function compileType(keywords: Keywords): Check | undefined {
  const name = stringOf(keywords, 'type');
  const types = name === undefined ? stringsOf(keywords, 'type') : [name];
  if (types === undefined) return undefined;
  const expected = () => typeWords(types);
  const [only = ''] = types;
  if (types.length === 1) return (instance, run) => hasType(instance, only) || run.fail(instance, expected);
  return (instance, run) => types.some((type) => hasType(instance, type)) || run.fail(instance, expected);
}

/** Whether a value is of a type; 1.0 is an integer. */
export function hasType(value: unknown, type: string): boolean {
  switch (type) {
    case 'integer':
      return Number.isInteger(value);
    case 'number':
      return Number.isFinite(value);
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    default:
      return typeof value === type;
  }
}

/** `const` (2020-12 Validation, section 6.1.3). */
export function compileConst({ schema }: Keywords): Check | undefined {
  if (!Object.hasOwn(schema, 'const')) return undefined;
  const value = schema.const;
  return equalsOneOf([value], () => show(value));
}

/** `enum` (2020-12 Validation, section 6.1.2). */
export function compileEnum(keywords: Keywords): Check | undefined {
  const values = listOf(keywords, 'enum');
  if (values === undefined) return undefined;
  return equalsOneOf(values, () => (values.length === 0 ? 'no value here' : `one of ${list(values, show)}`));
}

function equalsOneOf(values: readonly unknown[], expected: () => string): Check {
  const set = new ValueSet();
  for (const value of values) set.add(value, { spend() {} });
  return (instance, run) => set.has(instance, run) || run.fail(instance, expected);
}

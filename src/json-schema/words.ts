import { jsonTypeOf } from '../json.ts';

/** Characters of a value of the instance that may appear in a fault. */
const LONGEST_ECHO = 60;
/** Characters of a list taken out of the schema, such as the values of `enum`. */
const LONGEST_LIST = 300;

const TYPE_WORDS: ReadonlyMap<string, string> = new Map([
  ['string', 'a string'],
  ['number', 'a number'],
  ['integer', 'an integer'],
  ['boolean', 'true or false'],
  ['object', 'an object'],
  ['array', 'an array'],
  ['null', 'null'],
]);

/** `a string or null` */
export function typeWords(types: readonly string[]): string {
  return alternatives(types.map((type) => TYPE_WORDS.get(type) ?? type));
}

/** `a, b or c` */
export function alternatives(words: readonly string[]): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** `a, b, c` as far as there is room, then how many are left out. */
export function list(values: readonly unknown[], word: (value: unknown) => string = String): string {
  let text = '';
  for (const [index, value] of values.entries()) {
    const longer = index === 0 ? word(value) : `${text}, ${word(value)}`;
    if (longer.length > LONGEST_LIST) return `${text} and ${values.length - index} more`;
    text = longer;
  }
  return text;
}

/** `1 item`, `2 items` */
export function count(amount: number, one: string, many = `${one}s`): string {
  return `${amount} ${amount === 1 ? one : many}`;
}

/** At most `longest` UTF-16 units, and whole characters. */
export function clip(text: string, longest: number = LONGEST_ECHO): string {
  if (text.length <= longest) return text;
  return `${text
    .slice(0, longest - 1)
    .toWellFormed()
    .replace(/\ufffd$/, '')}…`;
}

/** A value of the schema as JSON that is cut short. */
export function show(value: unknown): string {
  return typeof value === 'string'
    ? JSON.stringify(clip(value, LONGEST_ECHO - 2))
    : clip(JSON.stringify(value));
}

/** What the caller sent, for `got …`. */
export function describe(value: unknown): string {
  switch (jsonTypeOf(value)) {
    case 'string':
      return `the string ${show(value)}`;
    case 'number':
      return `the number ${value}`;
    case 'array':
      return Array.isArray(value) ? `an array of ${count(value.length, 'item')}` : 'an array';
    case 'object':
      return 'an object';
    default:
      return String(value);
  }
}

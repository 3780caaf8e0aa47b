/** Whether a character, given as its code point, belongs to a class. */
export type CharacterTest = (code: number) => boolean;

const ASCII = 128;

const COMMON: ReadonlyMap<string, CharacterTest> = new Map([
  ['.', (code: number) => code !== 0x0a && code !== 0x0d && code !== 0x2028 && code !== 0x2029],
  ['\\d', isDigit],
  ['\\w', isWord],
]);

/**
 * A test for the text of a class or of an escape, such as `[\s\p{Letter}]`. The engine's own expressions judge one
 * character at a time, which needs no backtracking; the answers for ASCII are kept.
 */
export function characterTest(source: string): CharacterTest {
  const common = COMMON.get(source);
  if (common !== undefined) return common;
  const expression = new RegExp(`^${source}$`, 'u');
  let ascii: boolean[] | undefined;
  return (code) => {
    if (code >= ASCII) return expression.test(String.fromCodePoint(code));
    ascii ??= Array.from({ length: ASCII }, (_, each) => expression.test(String.fromCharCode(each)));
    return ascii[code] === true;
  };
}

/** `\w`: letters, digits and the underscore of ASCII. */
export function isWord(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || isDigit(code) || code === 0x5f;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

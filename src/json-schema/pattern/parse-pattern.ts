import { schemaLimits } from '../limits.ts';

/** A pattern as a tree. Groups leave no trace: what they capture is of no use here. */
export type PatternTree =
  | { readonly kind: 'character'; readonly code: number }
  /** The text of a class or an escape, such as `[a-z]`, `\d` or `.`, that stands for one character. */
  | { readonly kind: 'class'; readonly source: string }
  | { readonly kind: 'assertion'; readonly assertion: Assertion }
  | {
      readonly kind: 'look';
      readonly behind: boolean;
      readonly negative: boolean;
      readonly body: PatternTree;
    }
  | { readonly kind: 'sequence'; readonly parts: PatternTree[] }
  | { readonly kind: 'choice'; readonly options: PatternTree[] }
  | { readonly kind: 'repeat'; readonly body: PatternTree; readonly min: number; readonly max: number };

export type Assertion = '^' | '$' | '\\b' | '\\B';

/** A pattern that can't be used. The message is for its author. */
export class PatternError extends Error {
  override readonly name = 'PatternError';
}

/** A backreference; a class; an escape; the start of a group; a quantifier; any other character. */
const TOKEN = new RegExp(
  [
    String.raw`\\(?:[1-9]\d*|k<[^>]*>)`,
    String.raw`\[(?:\\.|[^\]\\])*\]`,
    String.raw`\\(?:u\{[^}]*\}|u[dD][89abAB]..\\u[dD][c-fC-F]..|u.{4}|x..|c.|[pP]\{[^}]*\}|.)`,
    String.raw`\((?:\?(?:[:=!]|<[=!]|<[^>]*>)?)?`,
    String.raw`(?:[*+?]|\{\d+(?:,\d*)?\})\??`,
    '.',
  ].join('|'),
  'gsu',
);

/**
 * Reads an ECMA-262 pattern with the `u` flag, as JSON Schema asks (2020-12 Core, section 6.4).
 * Throws PatternError if its syntax is wrong, if it refers back to a group, or if it is too long or nests too deeply.
 */
export function parsePattern(source: string): PatternTree {
  if (source.length > schemaLimits.patternLength) {
    throw new PatternError(`the pattern is longer than ${schemaLimits.patternLength} characters`);
  }
  checkSyntax(source);
  const tokens = source.match(TOKEN) ?? [];
  let next = 0;

  function choice(depth: number): PatternTree {
    if (depth > schemaLimits.patternDepth) {
      throw new PatternError(`groups of the pattern nest more than ${schemaLimits.patternDepth} deep`);
    }
    const options = [sequence(depth)];
    while (tokens[next] === '|') {
      next++;
      options.push(sequence(depth));
    }
    return options.length === 1 && options[0] !== undefined ? options[0] : { kind: 'choice', options };
  }

  function sequence(depth: number): PatternTree {
    const parts: PatternTree[] = [];
    for (
      let token = tokens[next];
      token !== undefined && token !== '|' && token !== ')';
      token = tokens[next]
    ) {
      next++;
      parts.push(quantified(token.startsWith('(') ? group(token, depth) : atom(token)));
    }
    return { kind: 'sequence', parts };
  }

  function group(token: string, depth: number): PatternTree {
    const body = choice(depth + 1);
    next++;
    if (token === '(' || token === '(?:' || /^\(\?<[^=!]/.test(token)) return body;
    const look = /^\(\?(<?)([=!])$/.exec(token);
    if (look === null) throw new PatternError(`the pattern uses "${token}", which is not supported`);
    return { kind: 'look', behind: look[1] === '<', negative: look[2] === '!', body };
  }

  function quantified(body: PatternTree): PatternTree {
    const range = rangeOf(tokens[next]);
    if (range === undefined) return body;
    next++;
    return { kind: 'repeat', body, ...range };
  }

  return choice(0);
}

/** The engine's own parser knows the standard best. It reads the pattern, and does not run it. */
function checkSyntax(source: string): void {
  try {
    new RegExp(source, 'u');
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^.*: /s, '') : 'the syntax is wrong';
    throw new PatternError(`not a regular expression of ECMA-262 with the u flag: ${reason}`);
  }
}

function atom(token: string): PatternTree {
  if (token === '^' || token === '$' || token === '\\b' || token === '\\B') {
    return { kind: 'assertion', assertion: token };
  }
  if (/^\\[1-9k]/.test(token)) {
    throw new PatternError(`the pattern refers back to a group (${token}), which is not supported`);
  }
  const isClass = token === '.' || token.startsWith('[') || /^\\[a-zA-Z0]/.test(token);
  if (isClass) return { kind: 'class', source: token };
  return { kind: 'character', code: token.codePointAt(token.startsWith('\\') ? 1 : 0) ?? 0 };
}

function rangeOf(token: string | undefined): { min: number; max: number } | undefined {
  const unlimited = Number.POSITIVE_INFINITY;
  if (token === undefined || !/^(?:[*+?]|\{\d)/.test(token)) return undefined;
  if (token.startsWith('*')) return { min: 0, max: unlimited };
  if (token.startsWith('+')) return { min: 1, max: unlimited };
  if (token.startsWith('?')) return { min: 0, max: 1 };
  const [min = '', max = min] = token.replace(/[{}?]/g, '').split(',');
  return { min: Number(min), max: max === '' ? unlimited : Number(max) };
}

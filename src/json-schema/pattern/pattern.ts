import type { Budget } from '../budget.ts';
import { schemaLimits } from '../limits.ts';
import { PatternError, parsePattern } from './parse-pattern.ts';
import { assemble, sizeOf } from './program.ts';
import { search } from './search.ts';

/** A compiled pattern. */
export interface Pattern {
  readonly source: string;
  /** Instructions, which is what the pattern costs in memory. */
  readonly size: number;
  /** Whether the pattern matches somewhere in the text; throws as the budget does. */
  test(text: string, budget: Budget): boolean;
}

/**
 * Compiles an ECMA-262 pattern (`u` flag) for texts that may be hostile. All of the standard is known but references
 * back to a group, which can't be searched for without going back in the text. Throws PatternError if the pattern is
 * wrong or too large.
 */
export function compilePattern(source: string): Pattern {
  const tree = parsePattern(source);
  const size = sizeOf(tree);
  if (!(size <= schemaLimits.patternSize)) {
    throw new PatternError(
      `the pattern repeats too much: it stands for more than ${schemaLimits.patternSize} characters`,
    );
  }
  const program = assemble(tree);
  return { source, size, test: (text, budget) => search(program, text, budget) };
}

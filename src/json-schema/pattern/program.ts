import type { CharacterTest } from './character-test.ts';
import { characterTest } from './character-test.ts';
import type { Assertion, PatternTree } from './parse-pattern.ts';

/** What an instruction does before it goes on to `next`. */
export const Op = {
  /** Nothing: the pattern has matched. */
  match: 0,
  /** Reads the character whose code point is `argument`. */
  character: 1,
  /** Reads a character for which test number `argument` holds. */
  test: 2,
  /** Goes on at instruction `argument` as well. */
  split: 3,
  /** Holds if assertion number `argument` does. */
  assertion: 4,
  /** Holds if lookaround number `argument` does. */
  look: 5,
} as const;

interface Look {
  readonly behind: boolean;
  readonly negative: boolean;
  readonly body: Program;
}

/** Thompson's automaton of a pattern: nothing in it goes back, so that the text is read once. */
export interface Program {
  readonly entry: number;
  readonly ops: Uint8Array;
  readonly next: Int32Array;
  readonly argument: Int32Array;
  readonly tests: readonly CharacterTest[];
  readonly assertions: readonly Assertion[];
  readonly looks: readonly Look[];
  /** For each instruction, the stamp of the last place in a text where a search visited it. */
  readonly visited: Int32Array;
  /** The last stamp given out. */
  stamp: number;
}

/** How many instructions a pattern needs; Infinity if that can't be counted. */
export function sizeOf(tree: PatternTree): number {
  switch (tree.kind) {
    case 'character':
    case 'class':
    case 'assertion':
      return 1;
    case 'look':
      return 2 + sizeOf(tree.body);
    case 'sequence':
      return tree.parts.reduce((sum, part) => sum + sizeOf(part), 0);
    case 'choice':
      return tree.options.reduce((sum, option) => sum + 1 + sizeOf(option), 0);
    case 'repeat': {
      const times = tree.max === Number.POSITIVE_INFINITY ? Math.max(tree.min, 1) : tree.max;
      return 1 + (times === 0 ? 0 : times * (1 + sizeOf(tree.body)));
    }
  }
}

/** Writes the program from its end to its start, so that each instruction knows the next. */
export function assemble(tree: PatternTree): Program {
  const ops: number[] = [Op.match];
  const nexts: number[] = [0];
  const operands: number[] = [0];
  const tests = new Map<string, number>();
  const assertions: Assertion[] = [];
  const looks: Look[] = [];

  function add(op: number, next: number, argument: number): number {
    nexts.push(next);
    operands.push(argument);
    return ops.push(op) - 1;
  }

  function emit(part: PatternTree, next: number): number {
    switch (part.kind) {
      case 'character':
        return add(Op.character, next, part.code);
      case 'class': {
        const index = tests.get(part.source) ?? tests.size;
        tests.set(part.source, index);
        return add(Op.test, next, index);
      }
      case 'assertion':
        return add(Op.assertion, next, assertions.push(part.assertion) - 1);
      case 'look':
        return add(Op.look, next, looks.push({ ...part, body: assemble(part.body) }) - 1);
      case 'sequence':
        return part.parts.reduceRight((following, each) => emit(each, following), next);
      case 'choice': {
        const entries = part.options.map((option) => emit(option, next));
        return entries.reduceRight((other, entry) => add(Op.split, entry, other));
      }
      case 'repeat':
        return repeat(part.body, part.min, part.max, next);
    }
  }

  function repeat(body: PatternTree, min: number, max: number, next: number): number {
    let entry = next;
    let required = min;
    if (max === Number.POSITIVE_INFINITY) {
      const loop = add(Op.split, next, next);
      const start = emit(body, loop);
      nexts[loop] = start;
      // The loop's own body is the last of those required.
      entry = required > 0 ? start : loop;
      required--;
    } else {
      for (let optional = max - min; optional > 0; optional--) entry = add(Op.split, emit(body, entry), next);
    }
    for (; required > 0; required--) entry = emit(body, entry);
    return entry;
  }

  const entry = emit(tree, 0);
  return {
    entry,
    ops: Uint8Array.from(ops),
    next: Int32Array.from(nexts),
    argument: Int32Array.from(operands),
    tests: [...tests.keys()].map(characterTest),
    assertions,
    looks,
    visited: new Int32Array(ops.length),
    stamp: 0,
  };
}

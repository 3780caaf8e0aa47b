import type { Budget } from '../budget.ts';
import { isWord } from './character-test.ts';
import type { Assertion } from './parse-pattern.ts';
import type { Program } from './program.ts';
import { Op } from './program.ts';

const { match: MATCH, character: CHARACTER, test: TEST, split: SPLIT, assertion: ASSERTION, look: LOOK } = Op;

interface Range {
  /** Where the match starts; without it, anywhere. */
  readonly from?: number;
  /** Where the match ends; without it, anywhere. */
  readonly to?: number;
}

/** Steps to set up a search. */
const SETUP = 60;
/** Steps for a visit to an instruction. */
const VISIT = 6;

/**
 * Whether a program matches a part of a text. All ways to match are followed side by side, character by character, so
 * that the work is at most the text's length times the program's size (more with lookaround, whose bodies are searched
 * at each place where they stand). The budget pays for each instruction that is visited, before the next character.
 */
export function search(program: Program, text: string, budget: Budget, range: Range = {}): boolean {
  const { entry, ops, next, argument, visited } = program;
  const start = range.from ?? 0;
  const end = range.to ?? text.length;
  const mustEndThere = range.to !== undefined;
  const startsThere = range.from !== undefined || isAnchored(program);
  budget.spend(SETUP);
  const firstStamp = takeStamps(program, text.length + 1);
  /** Instructions that read the next character, and those that read the last one. */
  let readers: number[] = [];
  let reading: number[] = [];
  const pending: number[] = [];
  let visits = 0;

  /** Goes from an instruction to all that read a character next. True if the end of the program is among them. */
  function enter(first: number, position: number): boolean {
    let matched = false;
    for (let at: number | undefined = first; at !== undefined; at = pending.pop()) {
      if (visited[at] === firstStamp + position) continue;
      visited[at] = firstStamp + position;
      visits++;
      const op = ops[at];
      if (op === CHARACTER || op === TEST) {
        readers.push(at);
      } else if (op === SPLIT) {
        pending.push(argument[at] ?? 0, next[at] ?? 0);
      } else if (op === MATCH) {
        matched = true;
      } else if (holds(at, position)) {
        pending.push(next[at] ?? 0);
      }
    }
    return matched;
  }

  function holds(at: number, position: number): boolean {
    const index = argument[at] ?? 0;
    const look = ops[at] === LOOK ? program.looks[index] : undefined;
    if (look === undefined) return assertionHolds(program.assertions[index], text, position);
    return (
      search(look.body, text, budget, look.behind ? { to: position } : { from: position }) !== look.negative
    );
  }

  function reads(at: number, code: number): boolean {
    const expected = argument[at] ?? 0;
    return ops[at] === CHARACTER ? expected === code : program.tests[expected]?.(code) === true;
  }

  let matched = enter(entry, start);
  let position = start;
  while (true) {
    if (matched && (!mustEndThere || position === end)) return true;
    budget.spend(VISIT * visits + 1);
    visits = 0;
    if (position >= end || (startsThere && readers.length === 0)) return false;
    const code = text.codePointAt(position) ?? 0;
    position += code > 0xffff ? 2 : 1;
    matched = false;
    [reading, readers] = [readers, reading];
    readers.length = 0;
    for (const at of reading) {
      if (reads(at, code) && enter(next[at] ?? 0, position)) matched = true;
    }
    if (!startsThere && enter(entry, position)) matched = true;
  }
}

/** A stamp for each position of a text, none of which an earlier search has left in the program. */
function takeStamps(program: Program, amount: number): number {
  if (program.stamp + amount > 0x7fffffff) {
    program.visited.fill(0);
    program.stamp = 0;
  }
  const first = program.stamp + 1;
  program.stamp += amount;
  return first;
}

/** Whether the program starts with `^`, so that there is one place to begin. */
function isAnchored({ entry, ops, argument, assertions }: Program): boolean {
  return ops[entry] === ASSERTION && assertions[argument[entry] ?? 0] === '^';
}

function assertionHolds(assertion: Assertion | undefined, text: string, position: number): boolean {
  switch (assertion) {
    case '^':
      return position === 0;
    case '$':
      return position === text.length;
    case '\\b':
      return isWordBoundary(text, position);
    default:
      return !isWordBoundary(text, position);
  }
}

function isWordBoundary(text: string, position: number): boolean {
  const before = position > 0 && isWord(text.charCodeAt(position - 1));
  const after = position < text.length && isWord(text.charCodeAt(position));
  return before !== after;
}

import type { Budget } from './budget.ts';
import { exhausted } from './budget.ts';
import { Evaluated } from './evaluated.ts';
import type { Fault } from './fault.ts';
import { pointerTo } from './fault.ts';
import { schemaLimits } from './limits.ts';
import type { Resource, SchemaNode } from './schema-node.ts';
import { describe } from './words.ts';

/** The state of one validation. After `exhausted` was thrown it must not be used again. */
export class Run implements Budget {
  #steps: number = schemaLimits.steps;
  /** Schemas being applied, one inside the other. */
  depth = 0;
  /** Where in the instance we are. */
  readonly path: (string | number)[] = [];
  /** The resources that were entered, the outermost first (2020-12 Core, section 7.1). */
  readonly scope: Resource[] = [];
  /** What was evaluated of the value at `path`, while a schema around wants to know it. */
  evaluated: Evaluated | undefined;
  /** Where faults go. Without it the validation ends at the first. */
  faults: Fault[] | undefined;

  /** Whether nothing more needs to be said once a check fails. */
  get isTold(): boolean {
    return this.faults === undefined || this.faults.length >= schemaLimits.faults;
  }

  /** Throws `exhausted` when the budget is used up. */
  spend(steps: number): void {
    this.#steps -= steps;
    if (this.#steps < 0) throw exhausted;
  }

  /** Notes a fault of the value at `path`. Always false, so that a check can return it. */
  fail(instance: unknown, expected: () => string, actual: () => string = () => describe(instance)): false {
    this.#failAt(this.path, expected, actual);
    return false;
  }

  /** Notes a fault of what is, or should be, in the object at `path` under a key. Always false. */
  failMember(key: string | number, expected: () => string, actual: () => string): false {
    if (!this.isTold) this.#failAt([...this.path, key], expected, actual);
    return false;
  }

  #failAt(path: readonly (string | number)[], expected: () => string, actual: () => string): void {
    if (this.isTold) return;
    this.faults?.push({ pointer: pointerTo(path), expected: expected(), actual: actual() });
  }
}

/** Judges a value by a schema at the same place of the instance. */
export function apply(node: SchemaNode, instance: unknown, run: Run): boolean {
  run.spend(5);
  if (run.depth >= schemaLimits.evaluationDepth) throw exhausted;
  run.depth++;
  const valid = node.check(instance, run);
  run.depth--;
  return valid;
}

/** Judges what the value at `path` holds under a key or an index. */
export function applyAt(node: SchemaNode, key: string | number, value: unknown, run: Run): boolean {
  const { evaluated } = run;
  run.evaluated = undefined;
  run.path.push(key);
  const valid = apply(node, value, run);
  run.path.pop();
  run.evaluated = evaluated;
  return valid;
}

/** Whether a schema holds, where it need not: notes no faults, and what was evaluated only if it holds. */
export function attempt(node: SchemaNode, instance: unknown, run: Run): boolean {
  const { faults, evaluated } = run;
  run.faults = undefined;
  run.evaluated = evaluated && new Evaluated();
  const valid = apply(node, instance, run);
  if (valid && run.evaluated !== undefined) evaluated?.add(run.evaluated, run);
  run.faults = faults;
  run.evaluated = evaluated;
  return valid;
}

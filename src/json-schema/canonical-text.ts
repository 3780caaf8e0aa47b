import { isJsonObject } from '../json.ts';
import type { Budget } from './budget.ts';
import { exhausted } from './budget.ts';
import { schemaLimits } from './limits.ts';

/** Steps for each value inside a value, with its key. */
const STEPS = 20;

/**
 * A text that two JSON values share exactly if they are equal as JSON Schema understands it (2020-12 Core, section
 * 4.2.2): keys in any order, 1 and 1.0 the same. Throws `exhausted` when the value is too large or too deep.
 */
export function canonicalText(value: unknown, budget: Budget, depth = 0): string {
  if (depth > schemaLimits.evaluationDepth) throw exhausted;
  budget.spend(STEPS);
  if (typeof value === 'string') {
    budget.spend(value.length >> 2);
    return JSON.stringify(value);
  }
  let text = '';
  if (Array.isArray(value)) {
    for (const item of value) text += `${canonicalText(item, budget, depth + 1)},`;
    return `[${text}]`;
  }
  if (!isJsonObject(value)) return String(value === 0 ? 0 : value);
  for (const key of Object.keys(value).sort()) {
    budget.spend(STEPS + (key.length >> 2));
    text += `${JSON.stringify(key)}:${canonicalText(value[key], budget, depth + 1)},`;
  }
  return `{${text}}`;
}

/** A set of JSON values, equal as in `canonicalText`. */
export class ValueSet {
  readonly #scalars = new Set<unknown>();
  readonly #texts = new Set<string>();

  /** False if the value was there already. */
  add(value: unknown, budget: Budget): boolean {
    const size = this.#scalars.size + this.#texts.size;
    if (isScalar(value)) this.#scalars.add(value);
    else this.#texts.add(canonicalText(value, budget));
    return this.#scalars.size + this.#texts.size > size;
  }

  has(value: unknown, budget: Budget): boolean {
    if (isScalar(value)) return this.#scalars.has(value);
    return this.#texts.size > 0 && this.#texts.has(canonicalText(value, budget));
  }
}

function isScalar(value: unknown): boolean {
  return typeof value !== 'object' || value === null;
}

import type { Budget } from './budget.ts';

/**
 * Which members of one object or items of one list were evaluated by a keyword: the annotations that
 * `unevaluatedProperties` and `unevaluatedItems` read (2020-12 Core, section 11).
 */
export class Evaluated {
  readonly #keys = new Set<string>();
  readonly #items = new Set<number>();
  #below = 0;
  #allKeys = false;

  addKey(key: string): void {
    this.#keys.add(key);
  }

  addAllKeys(): void {
    this.#allKeys = true;
  }

  addItem(index: number): void {
    this.#items.add(index);
  }

  /** Items with an index less than this; Infinity for all. */
  addItemsBelow(index: number): void {
    this.#below = Math.max(this.#below, index);
  }

  hasKey(key: string): boolean {
    return this.#allKeys || this.#keys.has(key);
  }

  hasItem(index: number): boolean {
    return index < this.#below || this.#items.has(index);
  }

  add(other: Evaluated, budget: Budget): void {
    budget.spend(other.#keys.size + other.#items.size);
    for (const key of other.#keys) this.#keys.add(key);
    for (const item of other.#items) this.#items.add(item);
    this.#below = Math.max(this.#below, other.#below);
    this.#allKeys ||= other.#allKeys;
  }
}

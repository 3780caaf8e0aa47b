/** A bounded map that forgets what was not asked for the longest. */
export interface LruCache<V> {
  get(key: string): V | undefined;
  set(key: string, value: V): void;
  /** The value of a key, made and kept when it is not there. */
  getOrMake(key: string, make: () => V): V;
}

/**
 * @param maxWeight what all values together may weigh; the one set last stays whatever it weighs.
 * @param weigh what a value weighs; 1 where left out, so that values are counted.
 */
export function createLruCache<V>(maxWeight: number, weigh: (value: V) => number = () => 1): LruCache<V> {
  const entries = new Map<string, V>();
  let weight = 0;

  function remove(key: string, value: V): void {
    entries.delete(key);
    weight -= weigh(value);
  }

  const cache: LruCache<V> = {
    get(key) {
      const value = entries.get(key);
      if (value === undefined) return undefined;
      // Reinserted, so that the map's order is the order of last use.
      entries.delete(key);
      entries.set(key, value);
      return value;
    },
    set(key, value) {
      const old = entries.get(key);
      if (old !== undefined) remove(key, old);
      entries.set(key, value);
      weight += weigh(value);
      for (const [oldest, forgotten] of entries) {
        if (weight <= maxWeight || oldest === key) break;
        remove(oldest, forgotten);
      }
    },
    getOrMake(key, make) {
      const known = cache.get(key);
      if (known !== undefined) return known;
      const value = make();
      cache.set(key, value);
      return value;
    },
  };
  return cache;
}

/** A bounded map that forgets what was not asked for the longest. */
export interface LruCache<V> {
  /** The value of a key, made and kept when it is not there. */
  get(key: string, make: () => V): V;
}

export function createLruCache<V>(maxEntries: number): LruCache<V> {
  const entries = new Map<string, V>();
  return {
    get(key, make) {
      const known = entries.get(key);
      const value = known ?? make();
      // Reinserted, so that the map's order is the order of last use.
      if (known !== undefined) entries.delete(key);
      entries.set(key, value);
      if (entries.size > maxEntries) entries.delete(entries.keys().next().value ?? key);
      return value;
    },
  };
}

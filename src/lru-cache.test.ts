import { expect, it } from 'vitest';
import { createLruCache } from './lru-cache.ts';

it('keeps what was asked for last, up to its size', () => {
  const made: string[] = [];
  const cache = createLruCache<string>(2);
  const get = (key: string) =>
    cache.get(key, () => {
      made.push(key);
      return key.toUpperCase();
    });
  expect(['a', 'b', 'a', 'c', 'a', 'b'].map(get)).toEqual(['A', 'B', 'A', 'C', 'A', 'B']);
  expect(made).toEqual(['a', 'b', 'c', 'b']);
});

import { describe, expect, it } from 'vitest';
import { createLruCache } from './lru-cache.ts';

describe('createLruCache', () => {
  it('keeps what was asked for last, up to its size', () => {
    const made: string[] = [];
    const cache = createLruCache<string>(2);
    const get = (key: string) =>
      cache.getOrMake(key, () => {
        made.push(key);
        return key.toUpperCase();
      });
    expect(['a', 'b', 'a', 'c', 'a', 'b'].map(get)).toEqual(['A', 'B', 'A', 'C', 'A', 'B']);
    expect(made).toEqual(['a', 'b', 'c', 'b']);
  });

  it('counts by weight, replaces, and keeps at least the last', () => {
    const cache = createLruCache<string>(10, (value) => value.length);
    cache.set('a', 'xxxx');
    cache.set('b', 'xxxx');
    cache.set('a', 'x');
    cache.set('c', 'xxxxx');
    expect(['a', 'b', 'c'].map(cache.get)).toEqual(['x', 'xxxx', 'xxxxx']);
    cache.set('d', 'x');
    expect(['a', 'b', 'c', 'd'].map(cache.get)).toEqual([undefined, 'xxxx', 'xxxxx', 'x']);
    cache.set('e', 'x'.repeat(11));
    expect(['b', 'c', 'd', 'e'].map(cache.get)).toEqual([undefined, undefined, undefined, 'x'.repeat(11)]);
  });
});

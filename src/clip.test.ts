import { expect, it } from 'vitest';
import { clip } from './clip.ts';

it('cuts a long text, and never a character in half', () => {
  expect(clip('short')).toBe('short');
  expect(clip('x'.repeat(61))).toBe(`${'x'.repeat(60)}…`);
  expect(clip(`${'x'.repeat(59)}😀`)).toBe(`${'x'.repeat(59)}…`);
  expect(clip('a\ud800b')).toBe('a\ufffdb');
});

import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createEncryption } from './encryption.ts';

const [oldKey, newKey] = [randomBytes(32), randomBytes(32)];

describe('createEncryption', () => {
  it('gives back what it was given, and never stores the same text twice alike', () => {
    const encryption = createEncryption([oldKey]);
    const [one, two] = [encryption.encrypt('s3cret ✓', 'tool-1'), encryption.encrypt('s3cret ✓', 'tool-1')];
    expect(one).not.toBe(two);
    expect(one).not.toContain('s3cret');
    expect(encryption.decrypt(one, 'tool-1')).toBe('s3cret ✓');
  });

  it('decrypts with any of its keys and encrypts with the first', () => {
    const stored = createEncryption([oldKey]).encrypt('secret', 'tool-1');
    const rotated = createEncryption([newKey, oldKey]);
    expect(rotated.decrypt(stored, 'tool-1')).toBe('secret');
    expect(createEncryption([newKey]).decrypt(rotated.encrypt('secret', 'tool-1'), 'tool-1')).toBe('secret');
  });

  it('refuses a text moved to another place, changed, or of another key', () => {
    const encryption = createEncryption([oldKey]);
    const stored = encryption.encrypt('secret', 'tool-1');
    expect(() => encryption.decrypt(stored, 'tool-2')).toThrow();
    expect(() => createEncryption([newKey]).decrypt(stored, 'tool-1')).toThrow('not configured');
    const last = stored.at(-1) === 'A' ? 'B' : 'A';
    expect(() => encryption.decrypt(stored.slice(0, -3) + last + stored.slice(-2), 'tool-1')).toThrow();
    expect(() => encryption.decrypt('v1', 'tool-1')).toThrow();
  });
});

import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadOrCreateKey } from './local-keys.ts';

describe('loadOrCreateKey', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'local-keys-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('makes a key once, for its owner alone, and leaves nothing else behind', () => {
    const made = loadOrCreateKey(join(folder, 'data'), 'key');
    expect(made.created).toBe(true);
    expect(Buffer.from(made.key, 'base64')).toHaveLength(32);
    expect(statSync(made.file).mode & 0o777).toBe(0o600);
    expect(loadOrCreateKey(join(folder, 'data'), 'key')).toEqual({ ...made, created: false });
    expect(readdirSync(join(folder, 'data'))).toEqual(['key']);
  });
});

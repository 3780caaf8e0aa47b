import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { DatabaseUrl } from './db/open-database.ts';

/**
 * A key of this installation, made at the first call and kept in a file that only its owner can read (mode 0600). Where
 * two processes make it at once, both get the one that came first.
 *
 * @returns 32 random bytes in base64, and whether they were made just now.
 */
export function loadOrCreateKey(
  folder: string,
  name: string,
): { key: string; file: string; created: boolean } {
  const file = join(folder, name);
  const known = read(file);
  if (known) return { key: known, file, created: false };

  mkdirSync(folder, { recursive: true });
  const whole = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  writeFileSync(whole, randomBytes(32).toString('base64'), { mode: 0o600, flag: 'wx' });
  try {
    // Linking fails where the name is taken, so that no reader ever sees half a key, nor two processes different ones.
    linkSync(whole, file);
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
  } finally {
    rmSync(whole);
  }
  const key = read(file);
  if (!key) throw new Error(`the key in ${name} cannot be read`);
  return { key, file, created: true };
}

/** Where the keys of an installation are: beside its SQLite file. @throws Error where a server keeps the data. */
export function localFolder(database: DatabaseUrl): string {
  if (database.dialect === 'sqlite') return dirname(database.file);
  throw new Error('keys are kept beside a SQLite database only');
}

function read(file: string): string | undefined {
  try {
    const key = readFileSync(file, 'utf8').trim();
    return key === '' ? undefined : key;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

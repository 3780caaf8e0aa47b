import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { Sqlite } from './driver.ts';

/** Pages that are copied between two looks at the event loop: some 4 MiB. */
const PAGES_AT_ONCE = 1000;

export interface BackUpOptions {
  /** Whether a file of that name is replaced. */
  readonly force?: boolean | undefined;
  /** Hears of pages: how many are copied, of how many. */
  readonly onProgress?: (copied: number, total: number) => void;
}

/**
 * Copies a SQLite database that others may be writing to: the copy is the database as of one moment after the call, so it
 * has all that was acknowledged before. Writers do not wait for it. The copy is one file of mode 0600; it appears under its
 * name once it is whole, was found sound (`integrity_check`) and is on the disk.
 *
 * @returns the number of bytes.
 * @throws Error in words for the operator; then no file is left.
 */
export async function backUp(source: string, target: string, options: BackUpOptions = {}): Promise<number> {
  if (!existsSync(source)) throw new Error(`there is no database ${source}`);
  if (!options.force && existsSync(target)) throw taken(target);
  const unfinished = `${target}.${process.pid}.unfinished`;
  // Made here, so that nobody else can read it from the beginning.
  closeSync(openSync(unfinished, 'wx', 0o600));
  try {
    await copy(source, unfinished, options);
    const bytes = verify(unfinished);
    sync(unfinished);
    put(unfinished, target, options.force === true);
    sync(dirname(target));
    return bytes;
  } finally {
    for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(`${unfinished}${suffix}`, { force: true });
  }
}

async function copy(source: string, target: string, { onProgress }: BackUpOptions): Promise<void> {
  const connection = new Sqlite(source, { fileMustExist: true, timeout: 5000 });
  try {
    connection.pragma('query_only = on');
    // A transaction keeps the copy at one moment. Without it, each write of another process would begin it anew.
    connection.exec('begin');
    connection.prepare('select count(*) from sqlite_schema').get();
    await connection.backup(target, {
      progress: ({ totalPages, remainingPages }) => {
        onProgress?.(totalPages - remainingPages, totalPages);
        return PAGES_AT_ONCE;
      },
    });
  } finally {
    connection.close();
  }
}

/** @returns the size of the copy, in bytes. */
function verify(file: string): number {
  const connection = new Sqlite(file, { fileMustExist: true });
  try {
    // As one file, without those that a log of changes lies in. The service turns the log on again where it opens it.
    connection.pragma('journal_mode = delete');
    const faults = connection.pragma('integrity_check', { simple: true });
    if (faults !== 'ok') throw new Error(`the database is damaged: ${String(faults)}`);
    const pages = connection.pragma('page_count', { simple: true });
    return Number(pages) * Number(connection.pragma('page_size', { simple: true }));
  } finally {
    connection.close();
  }
}

/** Gives a file its name, in one step: whoever opens it finds the whole copy. */
function put(from: string, to: string, force: boolean): void {
  if (force) {
    renameSync(from, to);
    return;
  }
  try {
    // Linking fails where the name was taken meanwhile.
    linkSync(from, to);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code === 'EEXIST' || existsSync(to)) throw taken(to);
    // A file system that knows no links.
    renameSync(from, to);
  }
}

function sync(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function taken(file: string): Error {
  return new Error(`${file} is there already; --force replaces it`);
}

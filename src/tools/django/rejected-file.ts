import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import type { DjangoRow } from './django-store.ts';

/** A file of rows that were left behind, one JSON object a line: `{"reason": …, "row": {…}}`, each row as it stood. */
export interface RejectedFile {
  add(row: DjangoRow, reason: string): void;
  /** Puts the file in its place, whole, over one of an earlier run. Makes none where nothing was added. */
  finish(): void;
  /** Leaves nothing behind, where the run does not come to its end. Idempotent, also after `finish`. */
  [Symbol.dispose](): void;
}

/** Only the owner of the process can read it (mode 0600): rows may hold tokens in clear text. */
export function openRejectedFile(file: string): RejectedFile {
  const unfinished = `${file}.unfinished`;
  let descriptor: number | undefined;
  const begin = () => {
    rmSync(unfinished, { force: true });
    return openSync(unfinished, 'wx', 0o600);
  };
  const close = () => {
    if (descriptor !== undefined) closeSync(descriptor);
    descriptor = undefined;
  };
  return {
    add(row, reason) {
      descriptor ??= begin();
      writeSync(descriptor, `${JSON.stringify({ reason, row })}\n`);
    },
    finish() {
      if (descriptor === undefined) return;
      fsyncSync(descriptor);
      close();
      renameSync(unfinished, file);
    },
    [Symbol.dispose]() {
      if (descriptor === undefined) return;
      close();
      rmSync(unfinished, { force: true });
    },
  };
}

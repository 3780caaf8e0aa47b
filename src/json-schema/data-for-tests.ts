import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'vitest';
import type { JsonValue } from '../json.ts';

/** The folder of published test data, which is not a part of this repository. */
const folder = process.env.TOOL_DATA_DIR ?? fileURLToPath(new URL('../../../shared/data', import.meta.url));

const isPresent = existsSync(folder);

/** `test`, skipped where the folder is not there. */
export const testWithData = isPresent ? test : test.skip;

/** For names of tests, so that a reader sees why they are skipped. */
export const dataNote = isPresent ? '' : ` (skipped: no test data in ${folder}, see TOOL_DATA_DIR)`;

export function readJson<T = JsonValue>(path: string): T {
  return JSON.parse(readFileSync(`${folder}/${path}`, 'utf8'));
}

/** One JSON value a line. */
export function readJsonLines<T>(path: string): T[] {
  const lines = readFileSync(`${folder}/${path}`, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line));
}

/** Milliseconds of the fastest of three runs, since the machine may be busy with other things. */
export function fastest(run: () => void): number {
  const times = [0, 1, 2].map(() => {
    const start = performance.now();
    run();
    return performance.now() - start;
  });
  return Math.min(...times);
}

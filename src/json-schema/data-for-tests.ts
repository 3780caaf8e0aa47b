import { test } from 'vitest';
import { hasToolData, toolDataFolder } from '../testing/tool-data.ts';

/** `test`, skipped where the folder is not there. */
export const testWithData = hasToolData ? test : test.skip;

/** For names of tests, so that a reader sees why they are skipped. */
export const dataNote = hasToolData ? '' : ` (skipped: no test data in ${toolDataFolder}, see TOOL_DATA_DIR)`;

/** Milliseconds of the fastest of three runs, since the machine may be busy with other things. */
export function fastest(run: () => void): number {
  const times = [0, 1, 2].map(() => {
    const start = performance.now();
    run();
    return performance.now() - start;
  });
  return Math.min(...times);
}

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../package-root.ts';

/** The folder of the shared corpora and attack suites: TOOL_DATA_DIR, or `shared/data` beside the project. */
export const toolDataFolder: string = process.env.TOOL_DATA_DIR ?? join(packageRoot, '..', 'shared', 'data');

/** Whether the folder is there. Tests that need it are skipped where it is not; each suite has some that do not. */
export const hasToolData: boolean = existsSync(toolDataFolder);

/** Reads a JSON file of the folder. */
export function readDataJson<T>(file: string): T {
  return JSON.parse(readFileSync(join(toolDataFolder, file), 'utf8')) as T;
}

/** Reads a file of the folder that has a JSON value on each line. */
export function readDataLines<T>(file: string): T[] {
  return readFileSync(join(toolDataFolder, file), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

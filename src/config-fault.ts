import { ConfigError } from './config.ts';
import { StatedFault } from './errors.ts';

/** Does what a setting asks for; where that fails, the error names the setting and the system's reason in one line. */
export function naming<T>(variable: string, words: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw nameFault(variable, words, error);
  }
}

/** What went wrong with what a setting names, in one line with the system's reason, or one in words of ours. */
export function nameFault(variable: string, words: string, error: unknown): ConfigError {
  return new ConfigError(`${variable} ${words}${reasonOf(error)}`, { cause: error });
}

function reasonOf(error: unknown): string {
  if (error instanceof StatedFault) return ` (${error.message})`;
  return error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
}

import type { Database } from '../db/database.ts';
import type { Encryption } from '../encryption.ts';

/** What the registry needs from the rest of the service. */
export interface ToolsContext {
  readonly database: Database;
  readonly encryption: Encryption;
  /** The time in milliseconds since 1970. */
  readonly now: () => number;
  /** Why a URL may not be called, in words for its author; undefined when it may. */
  readonly checkUrl: (url: string) => string | undefined;
  /** The pointers of the internal functions that a system tool may run. */
  readonly internalFunctions: ReadonlySet<string>;
  readonly limits: {
    readonly toolsPerUser: number;
    /** Bytes of a definition as JSON text in UTF-8. */
    readonly definitionBytes: number;
    /** Bytes of all definitions in one answer. */
    readonly answerBytes: number;
  };
}

import type { JsonObject } from '../json.ts';

export const executionStatuses = ['success', 'error'] as const;
export type ExecutionStatus = (typeof executionStatuses)[number];

/** A call that has ended, as told by what ran it. Its texts may be a stranger's, of any length. */
export interface ExecutionRecord {
  /** For whom it ran; empty for nobody. */
  readonly userId: string;
  /** Empty where no tool was found. */
  readonly toolId: string;
  /** The name that was called. */
  readonly toolName: string;
  /** The model's own id of the call. */
  readonly callId: string;
  readonly requestId: string;
  /** Null on success. */
  readonly errorCode: string | null;
  /** In milliseconds since 1970. */
  readonly startedAt: number;
  readonly durationMs: number;
  /** Requests that were sent upstream for it. */
  readonly attempts: number;
  readonly argumentsHash: string;
  readonly arguments: JsonObject;
  /** JSON text on success, words for a model on error. */
  readonly output: string;
}

/** A row of the history, as its user may read it. */
export interface Execution {
  readonly id: string;
  /** Null where no tool was found. */
  readonly toolId: string | null;
  readonly toolName: string;
  readonly callId: string;
  readonly requestId: string;
  readonly status: ExecutionStatus;
  /** Null on success. */
  readonly errorCode: string | null;
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly attempts: number;
  /** Bytes of the arguments as JSON text, and of the output, in UTF-8. */
  readonly argumentBytes: number;
  readonly outputBytes: number;
  readonly argumentsHash: string;
  /** JSON text; null where it was not kept, or cannot be decrypted any more. */
  readonly arguments: string | null;
  /** As in the record; null as above. */
  readonly output: string | null;
}

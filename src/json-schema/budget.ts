/** What a piece of work may cost, in steps of about 10 ns. */
export interface Budget {
  /** Throws `exhausted` when there is no more to spend. */
  spend(steps: number): void;
}

/** Thrown where a validation has used up its steps or its depth; never leaves `validate`. */
export const exhausted = new Error('the validation took too long');

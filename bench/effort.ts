/** How long and how often a run measures. */
export interface Effort {
  /** Alternating rounds of which the median counts. */
  readonly rounds: number;
  /** Of one measurement under load, in milliseconds. */
  readonly loadMs: number;
  /** Before the first of them, in milliseconds. */
  readonly warmUpMs: number;
  /** Users with ten tools each in the large database. */
  readonly users: number;
  /** Repetitions of what is measured a call at a time. */
  readonly repetitions: number;
}

/** For numbers that can be judged: a few minutes. */
export const fullEffort: Effort = {
  rounds: 5,
  loadMs: 1800,
  warmUpMs: 1500,
  users: 10_000,
  repetitions: 15,
};

/** To see that all of it works: less than a minute. */
export const quickEffort: Effort = { rounds: 1, loadMs: 300, warmUpMs: 100, users: 500, repetitions: 3 };

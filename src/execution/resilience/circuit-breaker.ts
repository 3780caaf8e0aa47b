/**
 * Leaves alone what failed again and again: a circuit for each key, closed while all is well. The key is the caller's to
 * choose. It should name the user beside the host, so that no tenant can open the circuit of another.
 */
export interface CircuitBreaker {
  /** Whether an attempt may go. Once it has ended, its outcome must be reported, whatever it was and exactly once. */
  admit(key: string): Admission;
  /** Circuits that let no attempt through just now. */
  readonly open: number;
}

export type Admission =
  | { readonly allowed: true; report(outcome: AttemptOutcome): void }
  | { readonly allowed: false; readonly retryAfterMs: number };

/** `ignored` says nothing about the host, as when the caller left. */
export type AttemptOutcome = 'success' | 'failure' | 'ignored';

/** Failures in a row that open a circuit. More than the attempts of one call, so that one alone never does. */
const FAILURES = 5;

/** How long a circuit is open at first, and at most, in milliseconds. It doubles with each probe that fails. */
const FIRST_MS = 1000;
const LONGEST_MS = 30_000;

/** Which part of a longer time is left to chance, so that not all probes of a host come at one moment. */
const JITTER = 0.2;

/** Keys remembered; beyond, the one that was not asked for the longest is forgotten, and its circuit closed. */
const MAX_KEYS = 10_000;

/** What is known of a key that has failed. */
interface Circuit {
  /** In a row, while it is closed. */
  failures: number;
  /** How long it was opened, before chance; 0 while it is closed. */
  openMs: number;
  /** When it lets a probe through, while it is open. */
  probeAt: number;
  isProbed: boolean;
  /** The number of the opening by which it opened last. Attempts that were admitted before say nothing of it now. */
  opening: number;
}

/**
 * @param options.now the time in milliseconds, by a clock that never goes back.
 * @param options.random a number from 0 up to 1.
 */
export function createCircuitBreaker(options: { now: () => number; random: () => number }): CircuitBreaker {
  const { now, random } = options;
  /** In the order of last use. A key that never failed is not there. */
  const circuits = new Map<string, Circuit>();
  /** How many times any circuit opened. */
  let openings = 0;

  function admitted(key: string): Admission {
    const admittedAt = openings;
    return { allowed: true, report: (outcome) => report(key, admittedAt, outcome) };
  }

  function report(key: string, admittedAt: number, outcome: AttemptOutcome): void {
    const circuit = circuits.get(key);
    if (circuit === undefined) {
      if (outcome === 'failure') remember(key);
      return;
    }
    if (admittedAt < circuit.opening) return;
    circuit.isProbed = false;
    if (outcome === 'failure') fail(circuit);
    else if (outcome === 'success') succeed(circuit);
  }

  function remember(key: string): void {
    circuits.set(key, { failures: 1, openMs: 0, probeAt: 0, isProbed: false, opening: 0 });
    if (circuits.size > MAX_KEYS) circuits.delete(circuits.keys().next().value ?? key);
  }

  function fail(circuit: Circuit): void {
    circuit.failures++;
    if (circuit.openMs === 0 && circuit.failures < FAILURES) return;
    const isFirst = circuit.openMs === 0;
    circuit.openMs = isFirst ? FIRST_MS : Math.min(LONGEST_MS, 2 * circuit.openMs);
    circuit.probeAt = now() + (isFirst ? FIRST_MS : circuit.openMs * (1 - JITTER * random()));
    circuit.opening = ++openings;
  }

  function succeed(circuit: Circuit): void {
    circuit.failures = 0;
    circuit.openMs = 0;
  }

  return {
    admit(key) {
      const circuit = circuits.get(key);
      if (circuit === undefined) return admitted(key);
      circuits.delete(key);
      circuits.set(key, circuit);
      if (circuit.openMs === 0) return admitted(key);
      const retryAfterMs = circuit.probeAt - now();
      if (retryAfterMs > 0) return { allowed: false, retryAfterMs };
      // Nobody knows how long the probe takes.
      if (circuit.isProbed) return { allowed: false, retryAfterMs: FIRST_MS };
      circuit.isProbed = true;
      return admitted(key);
    },
    get open() {
      const time = now();
      let count = 0;
      for (const { openMs, probeAt } of circuits.values()) if (openMs > 0 && probeAt > time) count++;
      return count;
    },
  };
}

/** What lets only so many calls through at once: a user, a host, or a user's share of a host. Kept while it has any call. */
export interface Gate {
  readonly key: string;
  /** Where it is kept. */
  readonly all: Map<string, Gate>;
  readonly places: number;
  running: number;
  waiting: number;
  /** What it holds back, in the order of their turns. */
  readonly lanes: Set<Lane>;
}

/** The gates that a call passes: its user's; if it goes to a host, the host's and the user's share of it. */
export type Gates = readonly [user: Gate, ...host: Gate[]];

/** The waiting calls of one user to one host. They stand at one of their gates: a full one, if any is. */
export interface Lane {
  readonly key: string;
  readonly gates: Gates;
  at: Gate;
  /** What starts each call, in the order of their arrival. */
  readonly calls: Set<() => void>;
}

/** The gate of a key, made when it is not there. */
export function gateOf(all: Map<string, Gate>, key: string, places: number): Gate {
  const known = all.get(key);
  if (known) return known;
  const gate: Gate = { key, all, places, running: 0, waiting: 0, lanes: new Set() };
  all.set(key, gate);
  return gate;
}

export function forgetUnused(gates: Gates): void {
  for (const { all, key, running, waiting } of gates) if (running + waiting === 0) all.delete(key);
}

export function hasRoom(gate: Gate): boolean {
  return gate.running < gate.places;
}

export function isFull(gate: Gate): boolean {
  return !hasRoom(gate);
}

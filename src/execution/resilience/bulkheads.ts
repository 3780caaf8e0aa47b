import { type Cancellation, onAbort } from '../../cancellation.ts';
import { forgetUnused, type Gate, type Gates, gateOf, hasRoom, isFull, type Lane } from './gate.ts';

/** For whom, and to where, a call goes. */
export interface Place {
  readonly user: string;
  /** Of the upstream; undefined for a call that reaches none, which no host's limit concerns. */
  readonly host: string | undefined;
}

/**
 * Limits on the calls that run at the same time: in the process, of each user, and to each host.
 *
 * A user has at most half of a host's places, and one at least: however long their calls last, there is room for another
 * user's. So a host that one user alone calls is never full.
 *
 * A waiting call holds nothing. It starts as soon as process, user and host all have room, so a slow host, or a user who
 * fills it, delays neither the calls of others nor the same user's calls to other hosts.
 *
 * Places go round. What gives turns is the user or the host that held calls back: none gets a second turn before every
 * other that has room got one. Within it turns go round by user and host, and within these by arrival. So a call whose
 * user and host have room waits for its round alone, however many calls others send. No place is kept for a call whose
 * user and host never have room in the same moment, since others would wait for a place that nobody uses.
 */
export interface Bulkheads {
  /**
   * Waits for room.
   *
   * @returns what gives the place back; calling it again does nothing.
   * @throws BulkheadFull at once when too many calls wait already, or the signal's reason once it aborts.
   */
  enter(place: Place, signal: AbortSignal | Cancellation): Promise<() => void>;
  /** Calls that have a place. */
  readonly running: number;
  /** Calls that wait for one. */
  readonly waiting: number;
}

export interface BulkheadLimits {
  /** Calls that run in the process. */
  readonly running: number;
  readonly perUser: number;
  /** Of all users; each has half of them. */
  readonly perHost: number;
  /** Calls of one user that wait. */
  readonly queuedPerUser: number;
  /** Calls of all users that wait. */
  readonly queued: number;
}

/** Too many calls wait already. */
export class BulkheadFull extends Error {
  override readonly name = 'BulkheadFull';
}

export function createBulkheads(limits: BulkheadLimits): Bulkheads {
  const users = new Map<string, Gate>();
  const hosts = new Map<string, Gate>();
  const pairs = new Map<string, Gate>();
  const perPair = Math.max(1, Math.floor(limits.perHost / 2));
  const lanes = new Map<string, Lane>();
  /** Gates with room that have lanes, in the order of their turns: these wait for the process alone. */
  const ready = new Set<Gate>();
  let running = 0;
  let waiting = 0;

  function gatesOf({ user, host }: Place): Gates {
    const gate = gateOf(users, user, limits.perUser);
    if (host === undefined) return [gate];
    return [gate, gateOf(hosts, host, limits.perHost), gateOf(pairs, keyOf(user, host), perPair)];
  }

  function start(gates: Gates): () => void {
    running++;
    for (const gate of gates) gate.running++;
    let hasLeft = false;
    return () => {
      if (hasLeft) return;
      hasLeft = true;
      running--;
      for (const gate of gates) {
        gate.running--;
        if (gate.all === pairs) moveOn(gate);
        else if (gate.lanes.size > 0) ready.add(gate);
      }
      forgetUnused(gates);
      startWaiting();
    };
  }

  /** A user's share of a host gives no turns: what it held back stands at the user or the host. */
  function moveOn(pair: Gate): void {
    for (const lane of pair.lanes) {
      pair.lanes.delete(lane);
      standAt(lane, lane.gates.find(isFull) ?? lane.gates[0]);
    }
  }

  function standAt(lane: Lane, gate: Gate): void {
    lane.at = gate;
    gate.lanes.add(lane);
    if (hasRoom(gate)) ready.add(gate);
  }

  function startWaiting(): void {
    for (const gate of ready) {
      if (running >= limits.running) return;
      startFirst(gate);
      ready.delete(gate);
      // At the end, where this loop comes by again.
      if (hasRoom(gate) && gate.lanes.size > 0) ready.add(gate);
    }
  }

  /** Starts the first call at a gate that can start. Lanes whose other gate is full go and stand there. */
  function startFirst(gate: Gate): void {
    if (!hasRoom(gate)) return;
    for (const lane of gate.lanes) {
      gate.lanes.delete(lane);
      lane.at = lane.gates.find(isFull) ?? gate;
      lane.at.lanes.add(lane);
      if (lane.at !== gate) continue;
      const [startCall] = lane.calls;
      startCall?.();
      return;
    }
  }

  function wait(place: Place, gates: Gates, signal: AbortSignal | Cancellation): Promise<() => void> {
    const lane = laneOf(keyOf(place.user, place.host), gates);
    return new Promise((resolve, reject) => {
      const leaveQueue = () => {
        stopListening();
        count(gates, -1);
        lane.calls.delete(startCall);
        if (lane.calls.size > 0) return;
        lanes.delete(lane.key);
        lane.at.lanes.delete(lane);
        if (lane.at.lanes.size === 0) ready.delete(lane.at);
      };
      const startCall = () => {
        leaveQueue();
        resolve(start(gates));
      };
      const stopListening = onAbort(signal, () => {
        leaveQueue();
        forgetUnused(gates);
        reject(signal.reason);
      });
      count(gates, 1);
      lane.calls.add(startCall);
    });
  }

  function laneOf(key: string, gates: Gates): Lane {
    const known = lanes.get(key);
    if (known) return known;
    const at = gates.find(isFull) ?? gates[0];
    const lane: Lane = { key, gates, at, calls: new Set() };
    lanes.set(key, lane);
    standAt(lane, at);
    return lane;
  }

  function count(gates: Gates, calls: 1 | -1): void {
    waiting += calls;
    for (const gate of gates) gate.waiting += calls;
  }

  return {
    async enter(place, signal) {
      if (signal.aborted) throw signal.reason;
      const gates = gatesOf(place);
      // Who finds room everywhere passes nobody: whoever waits is held back by a gate of their own.
      if (running < limits.running && gates.every(hasRoom)) return start(gates);
      if (gates[0].waiting < limits.queuedPerUser && waiting < limits.queued) {
        return wait(place, gates, signal);
      }
      forgetUnused(gates);
      throw new BulkheadFull('Too many calls wait already.');
    },
    get running() {
      return running;
    },
    get waiting() {
      return waiting;
    },
  };
}

function keyOf(user: string, host: string | undefined): string {
  return JSON.stringify([user, host]);
}

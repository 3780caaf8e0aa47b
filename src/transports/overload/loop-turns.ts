/** The turns of the event loop. What arrives during one is looked at in the next, so a long turn is a long queue. */
export interface LoopTurns {
  /** For how long the present turn has kept the loop from waiting, in milliseconds. */
  busyMs(): number;
  close(): void;
}

/** @param onEnd told of each turn that ends, with the milliseconds that it kept the loop from waiting. */
export function watchLoopTurns(onEnd: (busyMs: number) => void): LoopTurns {
  let startedAt = performance.now();
  let idleBefore = performance.nodeTiming.idleTime;
  const busyMs = () =>
    performance.now() - startedAt - Math.max(0, performance.nodeTiming.idleTime - idleBefore);
  // What is set for the same turn runs after all that has arrived. It neither keeps the process alive nor the loop awake.
  const end = () => {
    onEnd(busyMs());
    startedAt = performance.now();
    idleBefore = performance.nodeTiming.idleTime;
    next = setImmediate(end).unref();
  };
  let next = setImmediate(end).unref();
  return { busyMs, close: () => clearImmediate(next) };
}

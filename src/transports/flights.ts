import type { EventEmitter } from 'node:events';

/** The requests that are being answered. */
export interface Flights {
  /** Counts a request until its response closes. */
  board(response: EventEmitter): void;
  /** Resolves when the requests of this moment have closed, whatever came later, or after `timeoutMs`. */
  landed(timeoutMs: number): Promise<void>;
}

export function createFlights(): Flights {
  const inFlight = new Set<EventEmitter>();
  return {
    board(response) {
      inFlight.add(response);
      response.once('close', () => inFlight.delete(response));
    },
    landed(timeoutMs) {
      const awaited = [...inFlight];
      let left = awaited.length;
      if (left === 0) return Promise.resolve();
      return new Promise((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        for (const response of awaited) {
          response.once('close', () => {
            left--;
            if (left > 0) return;
            clearTimeout(timer);
            resolve();
          });
        }
      });
    },
  };
}

import type { EventEmitter } from 'node:events';

/** A request, of whose body all may have come or not. */
type Incoming = { readonly complete: boolean };

/** The requests that are being answered. */
export interface Flights {
  /** Counts a request until its response closes. */
  board(request: Incoming, response: EventEmitter): void;
  /**
   * Resolves when the requests of this moment have closed, whatever came later, or after `timeoutMs`. A request that is
   * not complete is nobody's call yet, and not waited for.
   */
  landed(timeoutMs: number): Promise<void>;
}

export function createFlights(): Flights {
  const inFlight = new Map<EventEmitter, Incoming>();
  return {
    board(request, response) {
      inFlight.set(response, request);
      response.once('close', () => inFlight.delete(response));
    },
    landed(timeoutMs) {
      const awaited = [...inFlight].flatMap(([response, { complete }]) => (complete ? [response] : []));
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

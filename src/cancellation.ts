/**
 * What may be called off, as an AbortSignal, which it becomes where one is asked for. An AbortSignal with a listener or
 * two costs as much as the rest of a call; this costs next to nothing.
 */
export interface Cancellation {
  readonly aborted: boolean;
  readonly reason: unknown;
  /** Calls `listener` when it aborts. @returns what stops listening. */
  onAbort(listener: () => void): () => void;
  /** The same, for who takes nothing else. */
  readonly signal: AbortSignal;
}

/** @returns a cancellation, and what aborts it. A second abort does nothing. */
export function createCancellation(): { cancellation: Cancellation; abort(reason: unknown): void } {
  const listeners = new Set<() => void>();
  let aborted: { readonly reason: unknown } | undefined;
  let controller: AbortController | undefined;
  return {
    cancellation: {
      get aborted() {
        return aborted !== undefined;
      },
      get reason() {
        return aborted?.reason;
      },
      onAbort(listener) {
        listeners.add(listener);
        return () => {
          listeners.delete(listener);
        };
      },
      get signal() {
        controller ??= new AbortController();
        if (aborted) controller.abort(aborted.reason);
        return controller.signal;
      },
    },
    abort(reason) {
      if (aborted) return;
      aborted = { reason };
      controller?.abort(reason);
      for (const listener of listeners) listener();
      listeners.clear();
    },
  };
}

const listenersOf = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `listener` when a signal aborts, unless it was told to stop before. A signal on which very many listen, or that
 * lives long, has one listener of its own this way: Node goes through all of them to take one away.
 *
 * @returns what stops listening.
 */
export function onAbort(signal: AbortSignal | Cancellation, listener: () => void): () => void {
  if (!(signal instanceof AbortSignal)) return signal.onAbort(listener);
  const listeners = listenersOf.get(signal) ?? listen(signal);
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}

function listen(signal: AbortSignal): Set<() => void> {
  const listeners = new Set<() => void>();
  listenersOf.set(signal, listeners);
  const callAll = () => {
    for (const listener of listeners) listener();
    listeners.clear();
  };
  signal.addEventListener('abort', callAll, { once: true });
  return listeners;
}

/** A line to another process of this service. What is sent arrives in order, unless the other process ends before. */
export interface Channel {
  /** Never throws: what cannot be sent any more is lost. */
  send(message: object): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Calls back when the other process is gone. */
  onClosed(listener: () => void): void;
}

/** The part of `node:cluster`'s Worker that is used; it is the same on both sides. */
interface Endpoint {
  send(message: object, callback: (error: Error | null) => void): boolean;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'disconnect', listener: () => void): unknown;
}

/** The line between a primary and one of its workers, from either side. */
export function channelOf(endpoint: Endpoint): Channel {
  return {
    // With a callback Node tells it of a closed line; without, it throws an error at the whole process.
    send: (message) => void endpoint.send(message, () => {}),
    onMessage: (listener) => void endpoint.on('message', listener),
    onClosed: (listener) => void endpoint.on('disconnect', listener),
  };
}

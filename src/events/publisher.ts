/** An event as a broker takes it. */
export interface Message {
  /** The event's id, the same each time it is sent. */
  readonly id: string;
  readonly exchange: string;
  readonly routingKey: string;
  /** JSON text. */
  readonly body: string;
  /** When the event happened, in milliseconds since 1970. */
  readonly timestamp: number;
}

/**
 * What became of a message: a broker has it and has put it into a queue; no queue is bound for it; or it is not known
 * that the broker has it, because it went away, refused, or did not answer in time.
 */
export type Delivery = 'confirmed' | 'unroutable' | 'unconfirmed';

/** Hands messages to a broker. */
export interface Publisher {
  /** Whether there is a connection now. */
  readonly isConnected: boolean;
  /** Calls back whenever a connection is there (again). */
  onConnected(listener: () => void): void;
  /** Sends messages in this order and waits for what becomes of each, within a bounded time. Never rejects. */
  publish(messages: readonly Message[]): Promise<Delivery[]>;
}

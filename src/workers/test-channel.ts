import type { Channel } from './channel.ts';

/** One end of a line between two processes that are the same one, for tests. Messages are JSON, as on a real one. */
export interface TestChannel extends Channel {
  /** What was sent from this end. */
  readonly sent: readonly string[];
  /** As when the process at this end ends. */
  close(): void;
}

export function createTestChannels(): [TestChannel, TestChannel] {
  const make = () => {
    const listeners: ((message: unknown) => void)[] = [];
    const closed: (() => void)[] = [];
    return { listeners, closed, sent: [] as string[] };
  };
  const [one, two] = [make(), make()];
  let isOpen = true;
  const end = (own: typeof one, other: typeof one): TestChannel => ({
    sent: own.sent,
    send(message) {
      if (!isOpen) return;
      const text = JSON.stringify(message);
      own.sent.push(text);
      setImmediate(() => {
        if (isOpen) for (const listener of other.listeners) listener(JSON.parse(text));
      });
    },
    onMessage: (listener) => void own.listeners.push(listener),
    onClosed: (listener) => void own.closed.push(listener),
    close() {
      if (!isOpen) return;
      isOpen = false;
      for (const listener of [...own.closed, ...other.closed]) listener();
    },
  });
  return [end(one, two), end(two, one)];
}

import type { PendingEvent } from './outbox-store.ts';
import type { Delivery } from './publisher.ts';

export interface BatchLimits {
  /** Types of which it is not known whether a queue is bound for them, and how many rows of these a batch may have. */
  readonly isDoubtful: (type: string) => boolean;
  readonly doubtfulRows: number;
}

/** The beginning of a list, up to the last row that a limit allows: rows after it would overtake others. */
export function cutBatch(events: readonly PendingEvent[], limits: BatchLimits): readonly PendingEvent[] {
  const { isDoubtful, doubtfulRows } = limits;
  let doubtful = 0;
  const end = events.findIndex(({ type }) => isDoubtful(type) && ++doubtful > doubtfulRows);
  return end === -1 ? events : events.slice(0, end);
}

/** What a batch has come to. */
export interface Verdict {
  /** What is done with. */
  readonly sent: readonly PendingEvent[];
  /** Types of which every event found a queue, as far as is known, and of which one did not. */
  readonly routable: ReadonlySet<string>;
  readonly unroutable: ReadonlySet<string>;
  /** Whether of some it is not known if the broker has them. */
  readonly isUncertain: boolean;
}

/**
 * Judges the events of a batch. One that the broker confirmed is not done with when an earlier one of the same subject has
 * to be sent again: then both are, so that the last words are those of the later one. Only events of the same type wait for
 * one without a queue, though: of a tool whose `tool.created` nobody listens for, `tool.deleted` still is of use.
 */
export function judgeBatch(batch: readonly PendingEvent[], deliveries: readonly Delivery[]): Verdict {
  const sent: PendingEvent[] = [];
  const routable = new Set<string>();
  const unroutable = new Set<string>();
  const uncertainSubjects = new Set<string>();
  const queueless = new Set<string>();
  for (const [index, event] of batch.entries()) {
    const { type, subject } = event;
    switch (deliveries[index]) {
      case 'confirmed':
        routable.add(type);
        if (!uncertainSubjects.has(subject) && !queueless.has(`${type} ${subject}`)) sent.push(event);
        break;
      case 'unroutable':
        unroutable.add(type);
        queueless.add(`${type} ${subject}`);
        break;
      default:
        uncertainSubjects.add(subject);
    }
  }
  for (const type of unroutable) routable.delete(type);
  return { sent, routable, unroutable, isUncertain: uncertainSubjects.size > 0 };
}

import type { EventType } from './event.ts';
import type { PendingEvent } from './outbox-store.ts';
import type { Message } from './publisher.ts';

type Route = Pick<Message, 'exchange' | 'routingKey'>;

const RESOURCES = 'resource_events';
const USERS = 'user_events';

/** The names that the platform's services listen for. */
const ROUTES: Readonly<Record<EventType, Route>> = {
  'tool.created': { exchange: RESOURCES, routingKey: 'tool.created' },
  'tool.updated': { exchange: RESOURCES, routingKey: 'tool.updated' },
  'tool.deleted': { exchange: RESOURCES, routingKey: 'tool.deleted' },
  'user.deleted': { exchange: USERS, routingKey: 'resource.for_user.deleted.ToolService' },
};

/** The types of events that this version knows how to publish. */
export const EVENT_TYPES = Object.keys(ROUTES) as readonly EventType[];

/** The exchanges that events go to. */
export const EVENT_EXCHANGES: readonly string[] = [RESOURCES, USERS];

/** An event as a broker takes it. @throws Error for a type that is not among `EVENT_TYPES`. */
export function toMessage({ id, type, payload, createdAt }: PendingEvent): Message {
  if (!Object.hasOwn(ROUTES, type)) throw new Error('this version does not know the event');
  return { id, ...ROUTES[type as EventType], body: payload, timestamp: createdAt };
}

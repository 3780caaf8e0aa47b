/** What the service announces to the platform. A closed union: `message.ts` knows how each is published. */
export type ServiceEvent =
  | { readonly type: 'tool.created' | 'tool.updated' | 'tool.deleted'; readonly toolId: string }
  /** The user's tools and data are gone, also where there were none. */
  | { readonly type: 'user.deleted'; readonly userId: string };

export type EventType = ServiceEvent['type'];

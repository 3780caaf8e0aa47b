/** What the service announces to the platform. A closed union: the relay knows how to publish each. */
export type ServiceEvent = { readonly type: 'tool.deleted'; readonly toolId: string };

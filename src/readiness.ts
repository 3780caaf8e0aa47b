import type { Database } from './db/database.ts';

/** How a neighbour is: it answers; it does not, and the service goes on without it for now; none is set. */
export type DependencyState = 'ok' | 'away' | 'off';

/** Whether the service can do its work, and how what it depends on is. */
export interface Readiness {
  /** The database alone decides, and whether the service is stopping: without a broker, writes go on. */
  readonly isReady: boolean;
  /** Why it is not ready, in words that may be shown. */
  readonly reason?: string;
  readonly dependencies: {
    readonly database: Exclude<DependencyState, 'off'>;
    readonly rabbitmq: DependencyState;
    readonly redis: DependencyState;
  };
}

/** Tells a fault of the database apart from others, without its words: they may name hosts and files. */
const DATABASE_AWAY = 'the database does not answer, or its migrations are not applied';

export function createReadiness(options: {
  readonly database: Pick<Database, 'check'>;
  readonly rabbitmq: () => DependencyState;
  readonly redis: () => DependencyState;
  readonly isStopping: () => boolean;
  readonly logFault: (error: unknown) => void;
}): () => Promise<Readiness> {
  const { database, rabbitmq, redis, isStopping, logFault } = options;
  /** Once for each time that it is away, however often it is asked for. */
  let isAway = false;

  return async () => {
    try {
      await database.check();
      isAway = false;
    } catch (error) {
      if (!isAway) logFault(error);
      isAway = true;
    }
    const reason = isStopping() ? 'shutting down' : isAway ? DATABASE_AWAY : undefined;
    return {
      isReady: reason === undefined,
      ...(reason === undefined ? {} : { reason }),
      dependencies: { database: isAway ? 'away' : 'ok', rabbitmq: rabbitmq(), redis: redis() },
    };
  };
}

import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger };

/**
 * Logs JSON lines to `destination`, on a terminal readable ones. No headers, bodies or arguments are ever logged.
 */
export async function createLogger(
  level: string,
  destination: DestinationStream & { isTTY?: boolean },
): Promise<Logger> {
  const options = {
    level,
    base: null,
    serializers: { err: describeError },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  if (!destination.isTTY) return pino(options, destination);
  const { default: pretty } = await import('pino-pretty');
  return pino(options, pretty({ sync: true, translateTime: 'HH:MM:ss', destination }));
}

/**
 * An error with its causes as a line of the log has it: nothing but what every error has. Libraries hang requests with
 * their credentials on theirs.
 */
function describeError(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  return {
    type: error.name,
    message: error.message,
    ...('code' in error ? { code: String(error.code) } : {}),
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  };
}

import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger };

/** Keys that hold credentials, wherever they stand in what is logged. */
const SECRET_PATHS = ['authorization', 'token', 'password', 'secret'].flatMap((key) => [
  key,
  `*.${key}`,
  `*.*.${key}`,
]);

/**
 * Logs JSON lines to `destination`, on a terminal readable ones. No request's headers or bodies are ever logged; the
 * redaction is a second line of defence.
 */
export async function createLogger(
  level: string,
  destination: DestinationStream & { isTTY?: boolean },
): Promise<Logger> {
  const options = {
    level,
    base: null,
    redact: { paths: SECRET_PATHS, censor: '[redacted]' },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  if (!destination.isTTY) return pino(options, destination);
  const { default: pretty } = await import('pino-pretty');
  return pino(options, pretty({ sync: true, translateTime: 'HH:MM:ss', destination }));
}

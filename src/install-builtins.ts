import { setTimeout as sleep } from 'node:timers/promises';
import { discoverTool } from './execution/internal/discover.ts';
import { weatherTool } from './execution/internal/weather.ts';
import type { Logger } from './logging.ts';
import type { ToolsContext } from './tools/context.ts';
import { installBuiltinTools } from './tools/install-builtin-tools.ts';

/** Until the next attempt to install the built-in tools in a database that has not got its tables yet. */
const INSTALL_PAUSE_MS = 5000;

/**
 * Installs the built-in tools: at once where the database has the current schema, else (with MIGRATE=off) as soon as it
 * has. The service is not ready before.
 */
export function installBuiltins(
  { tools, logger }: { tools: ToolsContext; logger: Pick<Logger, 'warn'> },
  { pauseMs = INSTALL_PAUSE_MS } = {},
) {
  const closing = new AbortController();
  const attempt = async (): Promise<boolean> => {
    const isCurrent = await tools.database.check().then(
      () => true,
      () => false,
    );
    if (!isCurrent) return false;
    for (const name of await installBuiltinTools(tools, [weatherTool, discoverTool])) {
      logger.warn({ tool: name }, 'a built-in tool is not installed: another system tool bears its name');
    }
    return true;
  };
  let isTold = false;
  /** The database may go away at any time: the next attempt may well succeed. */
  const attemptSafely = () =>
    attempt().catch((error: unknown) => {
      if (!isTold) logger.warn({ err: error }, 'the built-in tools cannot be installed now: trying again');
      isTold = true;
      return false;
    });
  const goOn = async () => {
    logger.warn('the database has not got the current schema: waiting for its migrations');
    while (!closing.signal.aborted && !(await attemptSafely())) {
      await sleep(pauseMs, undefined, { signal: closing.signal, ref: false }).catch(() => {});
    }
  };
  let rest: Promise<void> | undefined;
  const firstAttempt = attempt().then((isDone) => {
    if (!isDone) rest = goOn();
  });
  return {
    firstAttempt,
    async close() {
      closing.abort();
      await rest;
    },
  };
}

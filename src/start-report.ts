import type { Config } from './config.ts';
import type { Logger } from './logging.ts';

/** Says at the start what is on and off, and what the settings open to whom. */
export function reportSettings(config: Config, logger: Logger): void {
  if (config.RPC_AUTH === 'trusted-network') {
    logger.warn(
      { setting: 'RPC_AUTH' },
      "trusted-network: whoever reaches this port may validate, read and run any user's tools without credentials",
    );
  }
  if (config.RABBITMQ_URL === undefined) {
    logger.info({ setting: 'RABBITMQ_URL' }, 'not set: events wait in the outbox');
  } else {
    logger.warn({ setting: 'RABBITMQ_URL' }, 'this version does not publish yet: events wait in the outbox');
  }
  if (config.REDIS_URL !== undefined) {
    logger.warn({ setting: 'REDIS_URL' }, 'this version counts rate limits in the process');
  }
  if (config.EGRESS_ALLOW.length > 0) {
    logger.info({ setting: 'EGRESS_ALLOW' }, 'webhooks may reach addresses that are not public');
  }
}

import type { Config } from './config.ts';
import type { Logger } from './logging.ts';

/** Says once, before anything is opened, what is on and off, and what the settings open to whom. */
export function reportSettings(config: Config, logger: Pick<Logger, 'info' | 'warn'>): void {
  const onOff = (isOn: boolean) => (isOn ? 'on' : 'off');
  logger.info(
    {
      database: config.DATABASE_URL.dialect,
      migrations: onOff(config.MIGRATE),
      workers: config.WORKERS,
      tls: onOff(config.TLS_CERT_FILE !== undefined),
      rabbitmq: onOff(config.RABBITMQ_URL !== undefined),
      redis: onOff(config.REDIS_URL !== undefined),
      traces: onOff(config.OTEL_EXPORTER_OTLP_ENDPOINT !== undefined),
      rpcAuth: config.RPC_AUTH,
      userLimit: onOff(config.RATE_LIMIT_USER !== null),
      anonymousLimit: onOff(config.RATE_LIMIT_ANON !== null),
      egressAllow: config.EGRESS_ALLOW.length,
      payloads: onOff(config.EXECUTION_PAYLOADS),
    },
    'starting',
  );
  if (config.RPC_AUTH === 'trusted-network') {
    logger.warn(
      { setting: 'RPC_AUTH' },
      "trusted-network: whoever reaches this port may validate, read and run any user's tools without credentials",
    );
  }
  if (config.RABBITMQ_URL === undefined) {
    logger.info(
      { setting: 'RABBITMQ_URL' },
      'not set: events wait in the outbox, and deletions of users are not heard of',
    );
  }
  if (config.REDIS_URL === undefined && config.DATABASE_URL.dialect === 'postgres') {
    logger.info({ setting: 'REDIS_URL' }, 'not set: each replica counts rate limits by itself');
  }
  if (config.EGRESS_ALLOW.length > 0) {
    logger.info({ setting: 'EGRESS_ALLOW' }, 'webhooks may reach addresses that are not public');
  }
}

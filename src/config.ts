import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import type { DatabaseUrl } from './db/open-database.ts';
import { type EgressAllow, parseEgressAllow } from './egress/address-policy.ts';

/** A setting has a value that cannot be used. The message is one line and names the variable, never its value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** `count` requests in a sliding window of `windowMs`; null where the limit is off. */
export type RateLimit = { readonly count: number; readonly windowMs: number } | null;

/** A calling service of the platform and the secret it presents. */
export type ServiceToken = { readonly name: string; readonly secret: string };

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const WINDOW_MS = { second: 1000, minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;

const KIB = 1024;
const MIB = 1024 * KIB;

/** Reads `250ms`, `15s`, `1m`, `1h`, `30d`, or a plain number of seconds, as milliseconds. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)?$/.exec(text.trim());
  if (!match) return undefined;
  return Math.round(Number(match[1]) * UNIT_MS[(match[2] ?? 's') as keyof typeof UNIT_MS]);
}

const integer = (fallback: number, min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .pipe(z.number().min(min, `must be at least ${min}`).max(max, `must be at most ${max}`))
    .default(fallback);

const duration = (fallback: string, minMs: number, maxMs: number) =>
  z
    .string()
    .default(fallback)
    .transform((text, context) => {
      const value = parseDuration(text);
      if (value !== undefined && value >= minMs && value <= maxMs) return value;
      context.addIssue(`must be a duration such as 500ms, 15s or 1m, from ${minMs} ms to ${maxMs} ms`);
      return z.NEVER;
    });

const rateLimit = (fallback: string) =>
  z
    .string()
    .default(fallback)
    .transform((text, context): RateLimit => {
      if (text === 'off') return null;
      const match = /^([1-9]\d{0,8})\/(second|minute|hour|day)$/.exec(text);
      if (match) {
        return { count: Number(match[1]), windowMs: WINDOW_MS[match[2] as keyof typeof WINDOW_MS] };
      }
      context.addIssue('must be N/second, N/minute, N/hour, N/day or off');
      return z.NEVER;
    });

/** Lets a parser that throws readable words stand in a schema. */
const parsedBy =
  <T>(parse: (text: string) => T) =>
  (text: string, context: z.RefinementCtx): T => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue(error instanceof Error ? error.message : 'cannot be read');
      return z.NEVER;
    }
  };

function parseServiceTokens(text: string): ServiceToken[] {
  const tokens = splitList(text).map((entry) => {
    const colon = entry.indexOf(':');
    const token = { name: entry.slice(0, colon), secret: entry.slice(colon + 1) };
    if (colon < 1) throw new Error('must be comma-separated name:secret pairs');
    if (!/^[\w.-]{1,64}$/.test(token.name)) {
      throw new Error('has a name that is not 1 to 64 letters, digits, dots, hyphens or underscores');
    }
    if (token.secret.length < 32)
      throw new Error(`needs a secret of at least 32 characters for ${token.name}`);
    if (!/^[\x21-\x7e]+$/.test(token.secret)) {
      throw new Error(`needs a secret of visible ASCII characters without spaces for ${token.name}`);
    }
    return token;
  });
  if (new Set(tokens.map((token) => token.secret)).size < tokens.length) throw new Error('repeats a secret');
  return tokens;
}

function parseEncryptionKeys(text: string): Buffer[] {
  return splitList(text).map((entry) => {
    const key = Buffer.from(entry, 'base64');
    if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(entry) || key.length !== 32) {
      throw new Error('must be 32 bytes in base64, or several of these separated by commas');
    }
    return key;
  });
}

function parseOrigins(text: string): string[] {
  return splitList(text).map((entry) => {
    const origin = URL.canParse(entry) ? new URL(entry).origin : 'null';
    if (origin !== entry.replace(/\/$/, '')) {
      throw new Error('must be comma-separated origins such as https://app.example.com');
    }
    return origin;
  });
}

function parseDatabaseUrl(text: string): DatabaseUrl {
  const match = /^(?:file:(?:\/\/(?=\/))?|sqlite:\/\/\/)([^?#]+)$/.exec(text);
  if (match?.[1]) return { dialect: 'sqlite', file: match[1] };
  if (/^postgres(?:ql)?:\/\//.test(text) && URL.canParse(text)) {
    if (!isDecodable(text)) throw new Error(NOT_DECODABLE);
    return { dialect: 'postgres', url: text };
  }
  throw new Error('must be file:PATH, sqlite:///PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE');
}

function parseNetworks(text: string): string[] {
  const networks = splitList(text);
  if (networks.every((entry) => ipaddr.isValid(entry) || ipaddr.isValidCIDR(entry))) return networks;
  throw new Error('must be comma-separated addresses or CIDRs such as 10.0.0.0/8');
}

function splitList(text: string): string[] {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

const httpUrl = () =>
  z
    .string()
    .refine((text) => /^https?:\/\//.test(text) && URL.canParse(text), 'must be an http or https URL');

const NOT_DECODABLE =
  'has a % in its user, password or path that encodes no character: write %25 for the sign itself';

/** Whether the parts of a URL can be read that its user decodes. */
function isDecodable(url: string): boolean {
  const { username, password, pathname } = new URL(url);
  try {
    for (const part of [username, password, pathname]) decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
}

const urlOf = (scheme: string) =>
  z
    .string()
    .refine((text) => new RegExp(`^${scheme}s?://`).test(text) && URL.canParse(text), {
      error: `must be a URL that begins with ${scheme}:// or ${scheme}s://`,
      abort: true,
    })
    .refine(isDecodable, NOT_DECODABLE);

const redisUrl = () =>
  urlOf('redis').refine(
    (text) => /^(?:\/\d{0,9})?$/.test(new URL(text).pathname),
    'must have the number of a database, or nothing, for its path',
  );

const noEgress: EgressAllow = parseEgressAllow('');

const environmentSchema = z
  .object({
    NODE_ENV: z
      .enum(['development', 'test', 'production'], 'must be development, test or production')
      .default('development'),
    HOST: z.string().default('127.0.0.1'),
    PORT: integer(8007, 0, 65_535),
    TLS_CERT_FILE: z.string().optional(),
    TLS_KEY_FILE: z.string().optional(),
    SHUTDOWN_DELAY: duration('0s', 0, 600_000),
    WORKERS: integer(1, 1, 64),
    DATABASE_URL: z.string().default('file:./data/tools.db').transform(parsedBy(parseDatabaseUrl)),
    DATABASE_POOL_SIZE: integer(10, 1, 1000),
    DATABASE_TIMEOUT: duration('5s', 100, 60_000),
    MIGRATE: z
      .enum(['on', 'off'], 'must be on or off')
      .default('on')
      .transform((text) => text === 'on'),
    JWT_SECRET_KEY: z.string().optional(),
    JWT_SECRET_KEY_PREVIOUS: z.string().optional(),
    JWT_ISSUER: z.string().default('https://ms1.auth-service.com'),
    ENCRYPTION_KEY: z.string().transform(parsedBy(parseEncryptionKeys)).optional(),
    SERVICE_TOKENS: z.string().default('').transform(parsedBy(parseServiceTokens)),
    RPC_AUTH: z
      .enum(['required', 'trusted-network'], 'must be required or trusted-network')
      .default('required'),
    RABBITMQ_URL: urlOf('amqp').optional(),
    REDIS_URL: redisUrl().optional(),
    EGRESS_ALLOW: z.string().transform(parsedBy(parseEgressAllow)).default(noEgress),
    RATE_LIMIT_USER: rateLimit('20000/day'),
    RATE_LIMIT_ANON: rateLimit('100/day'),
    CORS_ORIGINS: z.string().default('').transform(parsedBy(parseOrigins)),
    TRUST_PROXY: z.string().default('').transform(parsedBy(parseNetworks)),
    LOG_LEVEL: z
      .enum(
        ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
        'must be fatal, error, warn, info, debug, trace or silent',
      )
      .default('info'),
    SHUTDOWN_TIMEOUT: duration('15s', 0, 600_000),
    MAX_BODY_BYTES: integer(MIB, KIB, 256 * MIB),
    MAX_MESSAGE_BYTES: integer(4 * MIB, KIB, 256 * MIB),
    MAX_HEADER_BYTES: integer(16 * KIB, KIB, MIB),
    MAX_STREAMS_PER_CONNECTION: integer(256, 1, 100_000),
    MAX_LOOP_DELAY: z
      .union([z.literal('off').transform(() => null), duration('500ms', 10, 60_000)])
      .default(500),
    MAX_CONNECTIONS: integer(10_000, 1, 1_000_000),
    HEADERS_TIMEOUT: duration('10s', 50, 600_000),
    REQUEST_TIMEOUT: duration('60s', 100, 3_600_000),
    IDLE_TIMEOUT: duration('5m', 100, 86_400_000),
    MAX_TOOLS_PER_USER: integer(10_000, 1, 10_000_000),
    MAX_DEFINITION_BYTES: integer(256 * KIB, KIB, 16 * MIB),
    MAX_TOOL_IDS_PER_REQUEST: integer(10_000, 1, 1_000_000),
    MAX_CALLS_PER_REQUEST: integer(1000, 1, 100_000),
    MAX_ANSWER_BYTES: integer(4 * MIB, KIB, 256 * MIB),
    MAX_OUTPUT_BYTES: integer(16 * MIB, KIB, 256 * MIB),
    MAX_BUFFERED_BYTES: integer(128 * MIB, 64 * KIB, 64 * 1024 * MIB),
    EXECUTION_TIMEOUT: duration('10s', 100, 300_000),
    MAX_RESPONSE_BYTES: integer(MIB, KIB, 256 * MIB),
    MAX_RUNNING_CALLS: integer(2048, 1, 100_000),
    MAX_RUNNING_CALLS_PER_USER: integer(512, 1, 100_000),
    MAX_RUNNING_CALLS_PER_HOST: integer(512, 1, 10_000),
    MAX_QUEUED_CALLS_PER_USER: integer(1000, 0, 100_000),
    EXECUTION_PAYLOADS: z
      .enum(['true', 'false'], 'must be true or false')
      .default('false')
      .transform((text) => text === 'true'),
    EXECUTION_RETENTION: duration('30d', 3_600_000, 3650 * 86_400_000),
    OTEL_EXPORTER_OTLP_ENDPOINT: httpUrl().optional(),
    OTEL_SERVICE_NAME: z.string().default('tool-service'),
    WEATHER_GEOCODING_URL: httpUrl().default('https://geocoding-api.open-meteo.com'),
    WEATHER_FORECAST_URL: httpUrl().default('https://api.open-meteo.com'),
  })
  .superRefine((settings, context) => {
    const fault = (name: string, message: string) =>
      context.addIssue({ code: 'custom', path: [name], message });
    if (settings.NODE_ENV === 'production') {
      if (settings.JWT_SECRET_KEY === undefined) fault('JWT_SECRET_KEY', 'must be set in production');
      else if (Buffer.byteLength(settings.JWT_SECRET_KEY) < 32) {
        fault('JWT_SECRET_KEY', 'must have at least 32 bytes in production');
      }
      if (settings.ENCRYPTION_KEY === undefined) fault('ENCRYPTION_KEY', 'must be set in production');
    }
    if (settings.DATABASE_URL.dialect === 'postgres') {
      for (const name of ['JWT_SECRET_KEY', 'ENCRYPTION_KEY'] as const) {
        if (settings[name] === undefined) {
          fault(name, 'must be set with a postgres:// DATABASE_URL, as all replicas share it');
        }
      }
    }
    if ((settings.TLS_CERT_FILE === undefined) !== (settings.TLS_KEY_FILE === undefined)) {
      fault(
        settings.TLS_CERT_FILE === undefined ? 'TLS_CERT_FILE' : 'TLS_KEY_FILE',
        'must be set too: TLS needs both TLS_CERT_FILE and TLS_KEY_FILE',
      );
    }
  });

/** Every setting, by the name of its environment variable, checked and in its unit: bytes, or milliseconds. */
export type Config = Readonly<z.output<typeof environmentSchema>>;

/** The variables that the service reads, for the check that `.env.example` and the README list them all. */
export const settingNames: readonly string[] = Object.keys(environmentSchema.shape);

/**
 * Reads the settings from an environment. Pure: opens nothing and changes nothing. A variable that is empty counts as
 * not set.
 *
 * @throws ConfigError for the first setting that cannot be used.
 */
export function parseConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.fromEntries(
    settingNames.map((name) => [name, environment[name]?.trim()]).filter(([, value]) => value),
  );
  const result = environmentSchema.safeParse(given);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new ConfigError(`${String(issue?.path[0])} ${issue?.message}`);
}

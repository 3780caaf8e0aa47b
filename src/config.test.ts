import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigError, parseConfig, parseDuration, settingNames } from './config.ts';
import { packageRoot } from './package-root.ts';

const key32 = Buffer.alloc(32, 7).toString('base64');

describe('parseConfig', () => {
  it('has a default for every setting but the keys', () => {
    expect(parseConfig({})).toMatchObject({
      HOST: '127.0.0.1',
      PORT: 8007,
      DATABASE_URL: { dialect: 'sqlite', file: './data/tools.db' },
      JWT_ISSUER: 'https://ms1.auth-service.com',
      RPC_AUTH: 'required',
      RATE_LIMIT_USER: { count: 20_000, windowMs: 86_400_000 },
      RATE_LIMIT_ANON: { count: 100, windowMs: 86_400_000 },
      SHUTDOWN_TIMEOUT: 15_000,
      MAX_BODY_BYTES: 1_048_576,
      MAX_MESSAGE_BYTES: 4_194_304,
    });
  });

  it('takes an empty variable for one that is not set', () => {
    expect(parseConfig({ PORT: '', JWT_SECRET_KEY: ' ' })).toMatchObject({ PORT: 8007 });
  });

  it.each([
    ['file:./x.db', './x.db'],
    ['file:/var/lib/x.db', '/var/lib/x.db'],
    ['file:///var/lib/x.db', '/var/lib/x.db'],
    ['sqlite:///x.db', 'x.db'],
    ['sqlite:////var/lib/x.db', '/var/lib/x.db'],
  ])('reads the database %s', (url, file) => {
    expect(parseConfig({ DATABASE_URL: url }).DATABASE_URL).toEqual({ dialect: 'sqlite', file });
  });

  it.each([
    ['NODE_ENV', 'prod'],
    ['PORT', '65536'],
    ['PORT', 'eighty'],
    ['DATABASE_URL', 'mysql://x'],
    ['DATABASE_URL', 'postgres:x'],
    ['DATABASE_URL', 'postgres://user:sek%ret@host/tools'],
    ['RABBITMQ_URL', 'amqp:'],
    ['RABBITMQ_URL', 'amqp://user:sek%ret@host'],
    ['RABBITMQ_URL', 'amqp://user:secret@host/%E0%A4%A'],
    ['REDIS_URL', 'http://host'],
    ['REDIS_URL', 'redis://us%er:secret@host'],
    ['REDIS_URL', 'redis://host/tools'],
    ['REDIS_URL', 'redis://host/1/2'],
    ['SERVICE_TOKENS', 'nameless'],
    ['SERVICE_TOKENS', 'short:secret'],
    ['SERVICE_TOKENS', `a:${'s'.repeat(32)},b:${'s'.repeat(32)}`],
    ['RPC_AUTH', 'none'],
    ['ENCRYPTION_KEY', 'c2hvcnQ='],
    ['EGRESS_ALLOW', '10.0.0.0/99'],
    ['RATE_LIMIT_USER', '10/fortnight'],
    ['RATE_LIMIT_ANON', '0/day'],
    ['CORS_ORIGINS', 'app.example.com'],
    ['CORS_ORIGINS', '*'],
    ['TRUST_PROXY', 'everyone'],
    ['LOG_LEVEL', 'loud'],
    ['SHUTDOWN_TIMEOUT', 'soon'],
    ['MAX_BODY_BYTES', '12'],
    ['WEATHER_FORECAST_URL', 'ftp://x'],
    ['TLS_CERT_FILE', undefined, { TLS_KEY_FILE: 'key.pem' }],
    ['JWT_SECRET_KEY', undefined, { NODE_ENV: 'production', ENCRYPTION_KEY: key32 }],
    ['JWT_SECRET_KEY', 'too short', { NODE_ENV: 'production', ENCRYPTION_KEY: key32 }],
    ['ENCRYPTION_KEY', undefined, { NODE_ENV: 'production', JWT_SECRET_KEY: 'j'.repeat(32) }],
  ])('refuses %s=%s in one line that names it', (name, value, others: Record<string, string> = {}) => {
    let error: unknown;
    try {
      parseConfig({ ...others, [name]: value });
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(new RegExp(`^${name} .*\\w`));
    expect((error as Error).message).not.toContain('\n');
  });

  it('never repeats a secret in its refusal', () => {
    expect(() => parseConfig({ SERVICE_TOKENS: 'node:hunter2' })).toThrow(/^(?!.*hunter2)/);
  });

  it('reads several encryption keys, the first of which encrypts', () => {
    const other = Buffer.alloc(32, 8).toString('base64');
    expect(parseConfig({ ENCRYPTION_KEY: `${key32}, ${other}` }).ENCRYPTION_KEY).toEqual([
      Buffer.alloc(32, 7),
      Buffer.alloc(32, 8),
    ]);
  });
});

describe('parseDuration', () => {
  it.each([
    ['250ms', 250],
    ['15s', 15_000],
    ['1.5s', 1500],
    ['15', 15_000],
    ['1m', 60_000],
    ['1h', 3_600_000],
    ['30d', 2_592_000_000],
    ['soon', undefined],
    ['-1s', undefined],
  ])('%s is %s ms', (text, expected) => {
    expect(parseDuration(text)).toBe(expected);
  });
});

describe('the documents of the settings', () => {
  it.each(['.env.example', 'README.md'])('%s names every setting', (file) => {
    const text = readFileSync(join(packageRoot, file), 'utf8');
    expect(settingNames.filter((name) => !new RegExp(`\\b${name}\\b`).test(text))).toEqual([]);
  });
});

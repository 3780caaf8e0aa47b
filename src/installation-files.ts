import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { Config } from './config.ts';
import { naming } from './config-fault.ts';
import { loadOrCreateKey, localFolder } from './local-keys.ts';
import type { Logger } from './logging.ts';

/** The keys of the settings, or those of this installation where none are set. */
export function resolveKeys(config: Config, logger: Logger): { jwt: string[]; encryption: Buffer[] } {
  const local = (variable: string, name: string) => {
    const { key, file, created } = naming(
      variable,
      'is not set, and no key can be kept beside the database',
      () => loadOrCreateKey(localFolder(config.DATABASE_URL), name),
    );
    logger.info(
      { variable, file },
      created ? 'a key was made, since none is set' : 'using the key made before',
    );
    return key;
  };
  const current = config.JWT_SECRET_KEY ?? local('JWT_SECRET_KEY', 'jwt-secret-key');
  const previous = config.JWT_SECRET_KEY_PREVIOUS;
  return {
    jwt: previous === undefined ? [current] : [current, previous],
    encryption: config.ENCRYPTION_KEY ?? [Buffer.from(local('ENCRYPTION_KEY', 'encryption-key'), 'base64')],
  };
}

/** The certificate and key of TLS, where the settings name them. */
export function readTlsFiles(config: Config) {
  if (config.TLS_CERT_FILE === undefined || config.TLS_KEY_FILE === undefined) return {};
  const read = (variable: 'TLS_CERT_FILE' | 'TLS_KEY_FILE') =>
    naming(variable, 'names a file that cannot be read', () => readFileSync(config[variable] ?? ''));
  const tls = { cert: read('TLS_CERT_FILE'), key: read('TLS_KEY_FILE') };
  naming('TLS_CERT_FILE', 'and TLS_KEY_FILE are no certificate with its key in PEM', () =>
    createSecureContext(tls),
  );
  return { tls };
}

import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

/** Encrypts small texts for storage. */
export interface Encryption {
  /** `context` names the place the text belongs to; it cannot be decrypted for another. */
  encrypt(text: string, context: string): string;
  /** @throws Error when no key fits, or the text was changed or moved to another context. */
  decrypt(stored: string, context: string): string;
}

const IV_BYTES = 12;
const TAG_BYTES = 16;

/**
 * AES-256-GCM (NIST SP 800-38D) with a random 96-bit IV for each text. The first key encrypts, all decrypt, so that a
 * key is rotated by putting a new one in front. Stored as `v1.<key id>.<base64url of IV, tag and ciphertext>`.
 */
export function createEncryption(keys: readonly Buffer[]): Encryption {
  const byId = new Map(keys.map((key) => [keyId(key), key]));
  const [current] = keys;
  if (!current) throw new Error('at least one encryption key is needed');

  return {
    encrypt(text, context) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv('aes-256-gcm', current, iv);
      cipher.setAAD(Buffer.from(context));
      const ciphertext = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      const sealed = Buffer.concat([iv, cipher.getAuthTag(), ciphertext]);
      return `v1.${keyId(current)}.${sealed.toString('base64url')}`;
    },
    decrypt(stored, context) {
      const [version, id = '', sealedText = ''] = stored.split('.');
      const key = byId.get(id);
      if (version !== 'v1' || !key)
        throw new Error('the stored secret was encrypted with a key that is not configured');
      const sealed = Buffer.from(sealedText, 'base64url');
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, IV_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(Buffer.from(context));
      decipher.setAuthTag(sealed.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
      const text = decipher.update(sealed.subarray(IV_BYTES + TAG_BYTES));
      return Buffer.concat([text, decipher.final()]).toString('utf8');
    },
  };
}

/** Names a key without giving it away: the first 32 bits of its SHA-256. */
function keyId(key: Buffer): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 8);
}

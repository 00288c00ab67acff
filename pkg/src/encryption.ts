/** What a store is locked with; an extension of the original. */

import { DittoError } from './error.js';

/**
 * A passphrase, or a key of 32 random bytes that the application keeps.
 *
 * A passphrase is made into a key by 600,000 rounds of PBKDF2, at every opening: slow, so that guessing is slow too. Who loses the
 * secret loses the store.
 */
export type EncryptionSecret = { passphrase: string } | { key: Uint8Array };

/** The secret as the engine takes it: bytes. */
export type RawSecret = { passphrase: Uint8Array } | { key: Uint8Array };

const KEY_BYTES = 32;

/** Returns the secret in bytes, or throws when it could not lock anything. @internal */
export function rawSecret(secret: EncryptionSecret): RawSecret {
  const { passphrase, key } = (secret ?? {}) as { passphrase?: unknown; key?: unknown };
  if (typeof passphrase === 'string' && passphrase !== '' && key === undefined) {
    // One passphrase has several spellings in Unicode, and keyboards differ in which they type.
    return { passphrase: new TextEncoder().encode(passphrase.normalize('NFC')) };
  }
  if (key instanceof Uint8Array && key.length === KEY_BYTES && passphrase === undefined) return { key: key.slice() };
  throw new DittoError('validation/invalid-ditto-config', `encryption takes a passphrase that is not empty, or a key of ${KEY_BYTES} bytes.`);
}
